"""The processes that are measured: a hub, nginx with a configuration of its own, and wrk, which asks both."""

import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

PATIENCE_SECONDS = 60


class Hub:
    """A running hub."""

    def __init__(self, program, data, *arguments, environment=None):
        begun = time.monotonic()
        self.process = subprocess.Popen(
            [program, "serve", "--listen", "127.0.0.1:0", "--data", str(data), "--offline", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        line = self.process.stdout.readline()
        self.listening_seconds = time.monotonic() - begun
        found = re.match(r"Phasic Hub is listening on (http://\S+)", line)
        if not found:
            self.process.kill()
            raise RuntimeError(f"the hub did not start: {line!r}")
        self.url = found.group(1)
        while not self.is_ready():
            if time.monotonic() - begun > PATIENCE_SECONDS:
                raise RuntimeError("the hub is not ready")
            time.sleep(0.005)
        self.ready_seconds = time.monotonic() - begun

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/readyz") as answer:
                return answer.status == 200
        except OSError:
            return False

    def memory(self):
        """Resident memory now, and at most so far, in bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        size = lambda name: int(re.search(rf"{name}:\s+(\d+) kB", status).group(1)) * 1024
        return size("VmRSS"), size("VmHWM")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_SECONDS)


class Nginx:
    """A plain nginx below a temporary directory; `None` from `start` where it is not installed."""

    CONFIGURATION = """
daemon off;
worker_processes 2;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log {log};
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 100000000;
    open_file_cache max=100;
    default_type application/octet-stream;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    server {{ listen 127.0.0.1:{port}; root {prefix}/root; }}
}}
"""

    @classmethod
    def start(cls, prefix, log=False):
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        return cls(program, pathlib.Path(prefix), log) if program else None

    def __init__(self, program, prefix, log):
        (prefix / "root").mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.prefix, self.url = prefix, f"http://127.0.0.1:{port}"
        self.log = prefix / "access.log"
        configuration = prefix / "nginx.conf"
        user = "user root;\n" if pathlib.Path("/proc/self").owner() == "root" else ""
        configuration.write_text(
            user + self.CONFIGURATION.format(prefix=prefix, port=port, log=self.log if log else "off")
        )
        self.process = subprocess.Popen([program, "-p", str(prefix), "-c", str(configuration)])
        for _ in range(200):
            try:
                urllib.request.urlopen(self.url).close()
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.02)

    def put(self, name, content):
        path = self.prefix / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def stop(self):
        # By its id: the master, which takes its workers along.
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_SECONDS)


def wrk(url, seconds, connections, headers=()):
    """Requests a second, bytes a second, and the 99th percentile of latencies in seconds."""
    command = ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}s"]
    for header in headers:
        command += ["-H", header]
    text = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Socket errors" in text:
        raise RuntimeError(f"{url}: {text}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
    transfer, unit = re.search(r"Transfer/sec:\s+([\d.]+)(\w+)", text).groups()
    p99, scale = re.search(r"99%\s+([\d.]+)(\w+)", text).groups()
    sizes = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
    times = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
    return rate, float(transfer) * sizes[unit], float(p99) * times[scale]
