//! Rejects values that no agent or daemon sends: overlong names, paths and lists, and invalid numbers.

use crate::report::{LimitsReport, PlaceReport, SessionReport, UsageReport};

/// The longest name, in bytes; paths may be longer.
const LONGEST_NAME: usize = 256;
const LONGEST_PATH: usize = 4096;

/// The maximum number of windows of one account.
const WINDOWS: usize = 8;

pub(super) fn id(id: &str) -> bool {
    (1..=LONGEST_NAME).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn name(name: &str) -> bool {
    name.len() <= LONGEST_NAME && !name.chars().any(char::is_control)
}

fn path(path: &str) -> bool {
    path.len() <= LONGEST_PATH && !path.chars().any(char::is_control)
}

fn names<'a>(all: impl IntoIterator<Item = &'a Option<String>>) -> bool {
    all.into_iter().flatten().all(|text| name(text))
}

pub(super) fn session(report: &SessionReport) -> bool {
    let SessionReport { project, branch, model, effort, service_tier, parent, .. } = report;
    let place = report.place.as_deref();
    id(&report.id)
        && names([project, branch, model, effort, service_tier])
        && parent.as_deref().is_none_or(id)
        && path(&report.home)
        && names([&report.file])
        && place.is_none_or(|place| {
            let PlaceReport { cwd, been, forked_from, file, .. } = place;
            cwd.iter().chain(been).all(|folder| path(folder))
                && been.len() <= PlaceReport::FOLDERS
                && forked_from.as_deref().is_none_or(id)
                && names([file])
        })
}

pub(super) fn usage(report: &UsageReport) -> bool {
    let call = report.call.as_ref();
    id(&report.session)
        && names([&report.turn])
        && call.is_none_or(|call| names([&call.model, &call.finish_reason]))
}

pub(super) fn limits(report: &LimitsReport) -> bool {
    let number = |used: f64| used.is_finite() && (0.0..=1000.0).contains(&used);
    name(&report.family)
        && names([&report.name, &report.plan])
        && path(&report.home)
        && report.windows.len() <= WINDOWS
        && report.windows.iter().all(|window| window.used_percent.is_none_or(number))
}
