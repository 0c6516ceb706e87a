//! The table: what is measured, beside the least it takes, with the goal that was set.

/// One line of the table.
pub(crate) struct Row {
    what: String,
    ours: f64,
    floor: Option<f64>,
    unit: &'static str,
    goal: Option<Goal>,
}

/// What is aimed at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// At most so many times the floor.
    TimesFloor(f64),
    /// At least so many times the floor.
    OfFloor(f64),
    /// At most this.
    Most(f64),
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, ours: f64, floor: Option<f64>) -> Self {
        Self { what: what.into(), ours, floor, unit, goal: None }
    }

    pub(crate) fn goal(self, goal: Goal) -> Self {
        Self { goal: Some(goal), ..self }
    }

    fn ratio(&self) -> Option<f64> {
        self.floor.filter(|floor| *floor > 0.0).map(|floor| self.ours / floor)
    }

    fn is_met(&self) -> Option<bool> {
        match self.goal? {
            Goal::TimesFloor(most) => Some(self.ratio()? <= most),
            Goal::OfFloor(least) => Some(self.ratio()? >= least),
            Goal::Most(most) => Some(self.ours <= most),
        }
    }

    fn verdict(&self) -> (String, &'static str) {
        let goal = match self.goal {
            None => String::new(),
            Some(Goal::TimesFloor(most)) => format!("≤ {most} ×"),
            Some(Goal::OfFloor(least)) => format!("≥ {least} ×"),
            Some(Goal::Most(most)) => format!("≤ {most} {}", self.unit),
        };
        let met = self.is_met().map_or("", |met| if met { "ok" } else { "missed" });
        (goal, met)
    }

    pub(crate) fn print_head() {
        println!("{:<48} {:>16} {:>16} {:>7}  {:<14} ", "", "agent-presence", "floor", "ratio", "goal");
    }

    /// Rows are printed as they come, so that a run that is broken off has told something.
    pub(crate) fn print(&self) {
        let figure = |value: f64| format!("{} {}", rounded(value), self.unit);
        let floor = self.floor.map(figure).unwrap_or_default();
        let ratio = self.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let (goal, met) = self.verdict();
        println!("{:<48} {:>16} {floor:>16} {ratio:>7}  {goal:<14} {met}", self.what, figure(self.ours));
    }
}

/// Three digits that count.
fn rounded(value: f64) -> String {
    match value {
        value if value >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}
