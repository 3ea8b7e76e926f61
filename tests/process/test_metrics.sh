#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# --metrics: what is served while a run goes on, to clients of all manners; the
# run does not care what becomes of the process that serves, which ends with it.
# shellcheck source=tests/process/lib.bash
source "$(dirname "$0")/lib.bash"
need_ffmpeg
command -v python3 >/dev/null || { skip metrics "no python3 on this machine"; exit 0; }

cat >"$work/client.py" <<'P'
import json, re, socket, sys, time
from urllib.parse import urlsplit

url, what = sys.argv[1], sys.argv[2]
at = urlsplit(url)
address = (at.hostname, at.port)

def send(data, limit=10):
    s = socket.create_connection(address, limit)
    s.settimeout(limit)
    try:
        s.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass
    got = b""
    try:
        while part := s.recv(65536):
            got += part
    except ConnectionResetError:
        pass
    s.close()
    return got

def get(path, method="GET"):
    head, _, body = send(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), dict(l.split(": ", 1) for l in lines[1:]), body.decode()

def metrics():
    code, head, body = get("/metrics")
    assert code == 200 and head["Content-Type"].startswith("text/plain; version=0.0.4"), (code, head)
    assert int(head["Content-Length"]) == len(body.encode())
    out = {}
    for line in body.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP|TYPE) reelmill_\w+ .+", line), line
        else:
            m = re.fullmatch(r'(reelmill_\w+(?:\{\w+="[^"]*"(?:,\w+="[^"]*")*\})?) (\S+)', line)
            assert m and m[1] not in out, line
            out[m[1]] = float(m[2])
    return out

def until(holds):
    for _ in range(600):
        m = metrics()
        if holds(m):
            return m
        time.sleep(0.02)
    sys.exit(f"never so: {m}")

W = 'reelmill_frames_total{stage="worker"}'
if what == "look":
    m = until(lambda m: m[W] > 20)
    assert m['reelmill_jobs{state="running"}'] == 1 and m['reelmill_jobs{state="failed"}'] == 0, m
    for stage in "decoder", "worker", "aggregator":
        assert m[f'reelmill_process_up{{stage="{stage}",index="0"}}'] == 1, m
        assert 0 <= m[f'reelmill_process_busy_ratio{{stage="{stage}",index="0"}}'] <= 1
    m = until(lambda m: m['reelmill_bottleneck{stage="worker"}'] == 1)
    assert m["reelmill_frames_expected"] == 225 and m["reelmill_frames_per_second"] > 0 and m["reelmill_eta_seconds"] > 0, m
    assert m['reelmill_process_queue_depth{stage="worker",index="0"}'] >= 1, m
    code, head, body = get("/status.json")
    s = json.loads(body)
    assert code == 200 and head["Content-Type"] == "application/json" and s["shown_jobs"][0]["name"] == "a.mp4", s
    assert "the model" in s["bottleneck"]["text"], s
    code, head, body = get("/")
    assert code == 200 and head["Content-Type"] == "text/html; charset=utf-8" and "<title>reelmill" in body
    assert not re.search(r"(src|href)=.?(https?:)?//", body) and "default-src 'none'" in head["Content-Security-Policy"]
elif what == "manners":
    assert get("/nothing")[0] == 404 and get("/metrics", "POST")[0] == 405 and get("/metrics", "DELETE")[0] == 405
    code, head, body = get("/metrics", "HEAD")
    assert code == 200 and int(head["Content-Length"]) > 1000 and not body
    assert send(b"\x16\x03\x01\x00\xa5\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert send(b"GET / HTTP/1.1\r\nX: " + b"a" * 100000).startswith(b"HTTP/1.1 431 ")
    assert b" 405 " in send(b"POST / HTTP/1.1\r\nContent-Length: 60000\r\n\r\n" + b"b" * 60000)
    # Who says nothing, half of it, or takes no answer holds up nobody else.
    idle = [socket.create_connection(address) for _ in range(10)]
    for i, s in enumerate(idle):
        if i % 2:
            s.sendall(b"GET /metr")
    begin = time.monotonic()
    for _ in range(20):
        metrics()
    assert time.monotonic() - begin < 4 * int(sys.argv[3]), "slow"
    # More than it takes at once: the rest waits, all are answered or let go.
    many = [socket.create_connection(address) for _ in range(60)]
    for s in many:
        s.sendall(b"GET /status.json HTTP/1.1\r\n\r\n")
    for s in many:
        s.settimeout(20 * int(sys.argv[3]))
        assert s.recv(100).startswith(b"HTTP/1.1 200 "), "one of many"
    for s in idle:  # nor do they stay for ever
        s.settimeout(20 * int(sys.argv[3]))
        assert s.recv(10) == b""
elif what == "counts":  # while a worker dies: nothing that is counted goes back
    last, died = {}, False
    for _ in range(2000):
        try:
            m = metrics()
        except OSError:
            break
        for k, v in m.items():
            if "_total" in k:
                assert v >= last.get(k, 0), (k, last[k], v)
        last = m
        died |= m['reelmill_process_restarts_total{stage="worker",index="0"}'] == 1
        if died and m[W] > 60:
            break
        time.sleep(0.02)
    assert died and last[W] > 60, last
P

url='' server=''
find_url() { url=$(grep -os 'http://[^ ]*' "$work/bg.err") && server=$(pgrep -P "$coordinator" -x metrics); }
served() { # ARGS...: a run in the background that is served
    url=''
    start "$work/a.mp4" -o null: --progress plain --metrics "$@"
    wait_for 20 find_url
}
try() { # name, word of client.py
    local why
    if why=$(python3 "$work/client.py" "$url" "$2" "$slow" 2>&1); then ok "$1"; else not_ok "$1" "$why"; fi
}
finish_run() { # name: Ctrl-C, and all is gone
    kill -INT "$coordinator"
    wait "$coordinator"
    local rc=$?
    if ((rc != 130)); then not_ok "$1" "exit code $rc"
    elif ! gone "$server"; then not_ok "$1" "its server is there"
    elif ! nothing_left; then not_ok "$1" "something is left"
    else ok "$1"; fi
}

clip "$work/a.mp4" 9

served 127.0.0.1:0 --sim_ms 300
try look look
try manners manners
if grep -q "$url (this machine alone)" "$work/bg.err"; then ok said; else not_ok said "no line with the address"; fi
# The port is taken: at once, and by name.
port=${url##*:} port=${port%/}
rc=0
reel "$work/a.mp4" -o null: --metrics "127.0.0.1:$port" || rc=$?
if ((rc == 2)) && grep -q "could not serve metrics on \"127.0.0.1:$port\": Address already in use" "$work/err"; then ok port_taken
else not_ok port_taken "exit code $rc"; fi
finish_run ends_at_interrupt

export REELMILL_CRASH='worker.0/worker.before_done:20:9'
served 0 --sim_ms 40
unset REELMILL_CRASH
try counters_across_deaths counts
kill -9 "$coordinator"
wait "$coordinator" 2>/dev/null
if wait_for 2 gone "$server"; then ok ends_with_a_killed_coordinator; else not_ok ends_with_a_killed_coordinator "process $server"; fi

# The server dies: once it is started again at the same port, then it is left be.
other_server() { local now; now=$(pgrep -P "$coordinator" -x metrics) && [[ -n $now && $now != "$server" ]] && server=$now; }
no_server() { [[ -z $(pgrep -P "$coordinator" -x metrics) ]]; }
served '[::1]:0' --sim_ms 60
if [[ -z $url ]]; then # a machine without IPv6
    served localhost:0 --sim_ms 60
fi
kill -9 "$server"
if wait_for 10 other_server; then try started_again look; else not_ok started_again "no other process"; fi
kill -9 "$server"
wait_for 10 no_server
rc=0
wait "$coordinator" || rc=$?
if ((rc)); then not_ok goes_on_without "exit code $rc"
elif (($(grep -c 'process that serves metrics was killed by signal 9' "$work/bg.err") != 2)); then not_ok goes_on_without "not two warnings"
elif ! grep -q 'no metrics from now on' "$work/bg.err"; then not_ok goes_on_without "no last warning"
else ok goes_on_without; fi

# A short run, at whose end it is as if it had never been there.
rc=0
reel "$work/a.mp4" -o "$work/o.mkv" --sim_ms 0 --metrics :0 || rc=$?
if ((rc)) || ! nothing_left; then not_ok short_run "exit code $rc"; else ok short_run; fi

refuse() { # name, text, address
    local rc=0
    reel "$work/a.mp4" -o null: --metrics "$3" || rc=$?
    if ((rc == 2)) && grep -q "$2" "$work/err"; then ok "$1"; else not_ok "$1" "exit code $rc"; fi
}
refuse no_address 'could not read --metrics "everywhere"' everywhere
refuse not_ours 'could not serve metrics on "192.0.2.1:0": Cannot assign' 192.0.2.1:0
refuse no_host 'could not serve metrics on "no.such.host.invalid:0"' no.such.host.invalid:0
finish
