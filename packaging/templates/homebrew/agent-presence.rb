class AgentPresence < Formula
  desc "@SUMMARY_CAPITAL@"
  homepage "@REPOSITORY@"
  version "@VERSION@"
  license "@LICENSE@"

  on_macos do
    on_arm do
      url "@LINK macos-arm64@"
      sha256 "@SUM macos-arm64@"
    end
    on_intel do
      url "@LINK macos-x64@"
      sha256 "@SUM macos-x64@"
    end
  end
  on_linux do
    on_arm do
      url "@LINK linux-arm64@"
      sha256 "@SUM linux-arm64@"
    end
    on_intel do
      url "@LINK linux-x64@"
      sha256 "@SUM linux-x64@"
    end
  end

  def install
    bin.install "agent-presence"
    man1.install "man/agent-presence.1"
    bash_completion.install "completions/agent-presence.bash" => "agent-presence"
    zsh_completion.install "completions/_agent-presence"
    fish_completion.install "completions/agent-presence.fish"
  end

  service do
    run [opt_bin/"agent-presence", "run"]
    keep_alive crashed: true
    process_type :background
  end

  def caveats
    <<~EOS
      Nothing is started. Once for each user:
        agent-presence setup
      It starts agent-presence at login, if you like; `brew services` does the same, so use one of them.
      Before removing it: agent-presence uninstall
    EOS
  end

  test do
    assert_equal "agent-presence #{version}", shell_output("#{bin}/agent-presence --version").strip
    assert_match "Waiting for input", shell_output("#{bin}/agent-presence run --demo")
  end
end
