# A part of `run`: installs the peers, in pinned versions, below $INSTALLED, builds what is to be built, and tells the
# versions. What is installed already, and is still what the lists beside this ask for, is left as it is.

die() {
    echo "tests/interop/run: $*" >&2
    exit 1
}

# Runs a step which is quiet if it succeeds, and shows the end of what it said if not.
quietly() {
    timeout --kill-after=5 "$BOUND_INSTALL" "$@" >"$WORK/step" 2>&1 &
    wait $! && return
    tail -n 30 "$WORK/step" >&2
    die "this step failed: $*"
}

install_all() {
    local tool
    for tool in python3 node npm cargo; do
        command -v "$tool" >/dev/null || die "$tool is missing: the peers need python3, node, npm and cargo"
    done
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die 'python3 must be 3.11 or newer'

    # The list of what is installed is copied last, so that a half-done installation is done again.
    if ! cmp -s python/requirements.txt "$INSTALLED/python/requirements.txt"; then
        echo 'installing the Python peers'
        quietly python3 -m venv --clear "$INSTALLED/python"
        quietly "$PYTHON" -m pip install --disable-pip-version-check --requirement python/requirements.txt
        cp python/requirements.txt "$INSTALLED/python/"
    fi
    if ! cmp -s node/package.json "$INSTALLED/node/installed.json"; then
        echo 'installing the Node peers'
        mkdir -p "$INSTALLED/node"
        cp node/package.json "$INSTALLED/node/"
        quietly npm install --prefix "$INSTALLED/node" --no-package-lock --engine-strict --ignore-scripts --no-audit
        cp node/package.json "$INSTALLED/node/installed.json"
    fi
    echo 'building'
    quietly cargo build --release --locked --manifest-path tungstenite/Cargo.toml --target-dir "$INSTALLED/tungstenite"
    quietly cargo build --release --locked --manifest-path "$ROOT/Cargo.toml" --target-dir "$TARGET" \
        --features deflate --example testee --example 05_client
}

print_versions() {
    local package
    "$PYTHON" - <<'END'
import platform
from importlib.metadata import version
for peer in "websockets", "aiohttp", "websocket-client":
    print(f"{peer} {version(peer)} (Python {platform.python_version()})")
END
    node --eval '
        for (const peer of ["ws", "undici"])
            console.log(`${peer} ${require(`${peer}/package.json`).version} (Node ${process.versions.node})`);'
    package=$(cargo pkgid --manifest-path tungstenite/Cargo.toml tungstenite)
    echo "tungstenite ${package##*[#@]} ($(rustc --version | cut -d' ' -f1-2))"
}
