# Installs agent-presence @VERSION@ for the user who runs this: into ~\.local\bin, without an administrator. Run it again to update.
#
#   irm @REPOSITORY@/releases/latest/download/install.ps1 | iex
#   .\install.ps1 [-Folder DIR]
#   .\install.ps1 -Uninstall [-Purge] [-Folder DIR]
#
# What it downloads has to have the sum that stands here. It starts nothing.
param(
    [string] $Folder = (Join-Path $HOME '.local\bin'),
    [switch] $Uninstall,
    [switch] $Purge
)

# A function, so that all of it has to have arrived before any of it runs, and `iex` leaves no setting behind.
function Install-AgentPresence {
    param([string] $Folder, [switch] $Uninstall, [switch] $Purge)

    $ErrorActionPreference = 'Stop'
    # The bar makes a download many times slower.
    $ProgressPreference = 'SilentlyContinue'
    $version = '@VERSION@'
    $url = '@URL@'
    # sha256 and name of what there is
    $sums = @'
@SUMS@
'@
    $names = 'agent-presence.exe', 'agent-presencew.exe'
    $program = Join-Path $Folder $names[0]

    # Windows renames a program that runs, and does not replace it.
    function Set-Aside([string] $path) {
        if (Test-Path -LiteralPath $path) {
            Remove-Item -LiteralPath "$path.old" -ErrorAction SilentlyContinue
            Move-Item -LiteralPath $path -Destination "$path.old" -Force
        }
    }

    if ($Uninstall) {
        if (-not (Test-Path -LiteralPath $program)) { throw "$program is not there; if it was installed elsewhere: -Folder DIR" }
        $arguments = @('uninstall')
        if ($Purge) { $arguments += '--purge' }
        & $program $arguments
        if ($LASTEXITCODE -ne 0) { throw 'it could not undo what it has set up; nothing was removed' }
        foreach ($name in $names) { Remove-Item -LiteralPath (Join-Path $Folder $name) -ErrorAction SilentlyContinue }
        $path = [Environment]::GetEnvironmentVariable('Path', 'User')
        $others = @("$path" -split ';' | Where-Object { $_ -and $_ -ne $Folder })
        # Another program may be in the folder.
        if (-not (Get-ChildItem -LiteralPath $Folder -ErrorAction SilentlyContinue)) {
            [Environment]::SetEnvironmentVariable('Path', ($others -join ';'), 'User')
        }
        Write-Output "removed: $program"
        return
    }
    if ($Purge) { throw '-Purge goes with -Uninstall' }

    $machine = $env:PROCESSOR_ARCHITECTURE
    # A 32-bit PowerShell says x86 on every machine, and tells the real one here.
    if ($env:PROCESSOR_ARCHITEW6432) { $machine = $env:PROCESSOR_ARCHITEW6432 }
    switch ($machine) {
        'AMD64' { $system = 'windows-x64' }
        'ARM64' { $system = 'windows-arm64' }
        default { $system = "windows-$machine" }
    }
    $archive = "agent-presence-$version-$system.zip"
    $line = $sums -split "`r?`n" | Where-Object { $_.EndsWith("  $archive") }
    if (-not $line) { throw "there is no program for $system; build it: cargo install agent-presence" }
    $expected = ($line -split '  ')[0]

    $work = Join-Path ([IO.Path]::GetTempPath()) ([IO.Path]::GetRandomFileName())
    New-Item -ItemType Directory -Path $work | Out-Null
    try {
        $file = Join-Path $work $archive
        Write-Output "downloading $url/$archive"
        # Windows PowerShell 5 may begin with older protocols.
        [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
        Invoke-WebRequest -Uri "$url/$archive" -OutFile $file -UseBasicParsing
        $found = (Get-FileHash -LiteralPath $file -Algorithm SHA256).Hash.ToLowerInvariant()
        if ($found -ne $expected) { throw "$archive is not what was released: its sum is $found, not $expected; nothing was changed" }
        Expand-Archive -LiteralPath $file -DestinationPath $work
        $from = Join-Path $work "agent-presence-$version-$system"
        $says = & (Join-Path $from $names[0]) --version
        if ($says -ne "agent-presence $version") { throw 'the program does not run on this machine; nothing was changed' }
        $before = $null
        if (Test-Path -LiteralPath $program) { $before = & $program --version }
        New-Item -ItemType Directory -Path $Folder -Force | Out-Null
        foreach ($name in $names) {
            $place = Join-Path $Folder $name
            Set-Aside $place
            Copy-Item -LiteralPath (Join-Path $from $name) -Destination $place
            # What still runs keeps its file until the next update.
            Remove-Item -LiteralPath "$place.old" -ErrorAction SilentlyContinue
        }
    }
    finally {
        Remove-Item -LiteralPath $work -Recurse -Force -ErrorAction SilentlyContinue
    }
    $path = [Environment]::GetEnvironmentVariable('Path', 'User')
    if (@("$path" -split ';') -notcontains $Folder) {
        [Environment]::SetEnvironmentVariable('Path', (@("$path" -split ';' | Where-Object { $_ }) + $Folder -join ';'), 'User')
        $env:Path = "$env:Path;$Folder"
    }
    if ($before) {
        Write-Output "$before is now ${version}: $program"
        Write-Output 'a daemon that runs goes on as it was; agent-presence doctor says how to renew it'
    }
    else {
        Write-Output "agent-presence $version is installed: $program"
        Write-Output 'next: agent-presence setup'
    }
}

Install-AgentPresence -Folder $Folder -Uninstall:$Uninstall -Purge:$Purge
