# Stands in the job script of each trial whose profile or --setup has lines of its own: a trial
# whose setup fails does not begin, and its log says which line it was.
headway_check() {
    local code=$?
    [ "$code" -eq 0 ] && return
    echo "headway: the setup failed with exit code $code: $1" >&2
    echo "headway: the trial was not begun; a line that may fail ends with || true" >&2
    exit "$code"
}
