# agent-presence from its sources, for nixpkgs or this repository's flake. Version and dependencies come from Cargo's files.
{
  lib,
  rustPlatform,
  installShellFiles,
}:
let
  manifest = (lib.importTOML ../../Cargo.toml).package;
in
rustPlatform.buildRustPackage {
  pname = manifest.name;
  version = manifest.version;
  src = lib.cleanSource ../..;
  cargoLock.lockFile = ../../Cargo.lock;
  nativeBuildInputs = [ installShellFiles ];
  # the tests want a whole machine: a user's folders, sockets, other shells
  doCheck = false;
  postInstall = ''
    $out/bin/agent-presence man >agent-presence.1
    installManPage agent-presence.1
    for shell in bash zsh fish; do
      $out/bin/agent-presence completions $shell >completions.$shell
      installShellCompletion --cmd agent-presence --$shell completions.$shell
    done
    install -D -m 644 packaging/login/agent-presence.service -t $out/lib/systemd/user
    substituteInPlace $out/lib/systemd/user/agent-presence.service --replace-fail /usr/bin $out/bin
  '';
  doInstallCheck = true;
  installCheckPhase = "$out/bin/agent-presence run --demo >/dev/null";
  meta = {
    inherit (manifest) description;
    homepage = manifest.repository;
    license = lib.licenses.mit;
    mainProgram = "agent-presence";
    platforms = lib.platforms.linux ++ lib.platforms.darwin;
  };
}
