# Sourced by the other scripts: one virtual environment per checkout, installed only when needed.

project_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
environment="${HUNMIN_VENV:-$project_root/.venv}"
python="$environment/bin/python"

is_usable_python() {
  "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python; do
    if is_usable_python "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  cat >&2 <<'MESSAGE'
hunmin needs Python 3.11 or newer with the venv module, and found none on PATH.
  Debian, Ubuntu: sudo apt install python3 python3-venv
  Fedora:         sudo dnf install python3
  macOS:          brew install python
Or name the interpreter: PYTHON=/path/to/python3.12 ./scripts/quickstart
MESSAGE
  return 2
}

# What an installation depends on; the folder is part of it because the install is editable.
installation_fingerprint() {
  {
    echo "$project_root"
    "$python" --version
    cat "$project_root/pyproject.toml" "$project_root/constraints/development.txt"
  } | "$python" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
}

# Usage: has_extras FINGERPRINT EXTRA...
has_extras() {
  local fingerprint="$1" extra
  shift
  for extra in "$@"; do
    [ "$(cat "$environment/.hunmin-$extra" 2>/dev/null)" = "$fingerprint" ] || return 1
  done
}

# On a terminal one line that changes, elsewhere nothing: the log has it all.
show_pip_progress() {
  local line
  while IFS= read -r line; do
    case "$line" in
      Collecting*|*Downloading*|Building*|Installing*)
        if [ -t 2 ]; then printf '\r\033[K  %.76s' "$line" >&2; fi ;;
    esac
  done
  if [ -t 2 ]; then printf '\r\033[K' >&2; fi
}

# Usage: ensure_environment EXTRA...
ensure_environment() {
  local log="$environment/install.log" interpreter fingerprint extra extras
  if [ "${HUNMIN_SKIP_INSTALL:-}" = 1 ]; then
    return
  fi
  if ! "$python" -m pip --version >/dev/null 2>&1; then
    interpreter="$(find_python)" || return
    echo "Making $environment with $("$interpreter" --version)" >&2
    "$interpreter" -m venv "$environment" || return
  fi
  fingerprint="$(installation_fingerprint)"
  if has_extras "$fingerprint" "$@"; then
    return
  fi
  extras="$(IFS=,; echo "$*")"
  echo "Installing hunmin[$extras] (minutes the first time, seconds later; log: $log)" >&2
  if ! (cd "$project_root" && "$python" -m pip install --disable-pip-version-check \
      --progress-bar off --constraint constraints/development.txt --editable ".[$extras]" 2>&1) \
      | tee "$log" | show_pip_progress; then
    tail -n 15 "$log" >&2
    echo "The installation failed; the whole log is $log" >&2
    return 1
  fi
  for extra in "$@"; do
    echo "$fingerprint" > "$environment/.hunmin-$extra"
  done
}
