#!/usr/bin/env python3
"""What idle connections cost those who work: starts a gateway, measures calls of a healthy client and the gateway's memory
before, beside and after connections that say hello and then nothing. Prints both as ratios to what was before.
Usage: ./dev bench idle-connections [--connections N] [--calls N]"""
import argparse
import pathlib
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import grpc

# What a client of HTTP/2 begins with, and an empty SETTINGS frame (RFC 9113, 3.4).
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
LIVENESS = b"\n\x08liveness"  # grpc.health.v1.HealthCheckRequest(service="liveness")


def resident_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError(f"process {pid} has no memory")


def p99_ms(check, calls):
    """The 99th percentile of calls one after another, the smallest of three rounds: what else the machine does only adds."""
    rounds = []
    for _ in range(3):
        times = []
        for _ in range(calls):
            start = time.perf_counter()
            check(LIVENESS, timeout=30)
            times.append(1e3 * (time.perf_counter() - start))
        rounds.append(statistics.quantiles(times, n=100)[98])
    return min(rounds)


def connect(path, number):
    connections = []
    for _ in range(number):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(path)
        connection.sendall(HELLO)
        connections.append(connection)
    for connection in connections:  # The server's own hello: it has taken the connection.
        connection.settimeout(60)
        if not connection.recv(1):
            raise RuntimeError("the gateway has closed a connection")
    return connections


def settled_kib(pid, goal, seconds):
    """Memory once it is at the goal, or has not got there in so many seconds."""
    end = time.monotonic() + seconds
    while (now := resident_kib(pid)) > goal and time.monotonic() < end:
        time.sleep(0.5)
    return now


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gateway", help=argparse.SUPPRESS)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--calls", type=int, default=1_000)
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < arguments.connections + 100:
        sys.exit(f"idle-connections: the limit of descriptors is {most} (ulimit -n): too few for {arguments.connections}")
    with tempfile.TemporaryDirectory(prefix="backfire.") as folder, open(f"{folder}/log", "wb") as log:
        path = f"{folder}/gateway"
        gateway = subprocess.Popen([arguments.gateway, f"--listen=unix:{path}", f"--orchestrator=unix:{folder}/nowhere"],
                                   stdout=log, stderr=log)
        try:
            channel = grpc.insecure_channel(f"unix:{path}")
            grpc.channel_ready_future(channel).result(timeout=60)
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            p99_ms(check, arguments.calls)  # Warms up.
            # The process has grown once to what so many connections take; the second time shows what stays.
            for connection in connect(path, arguments.connections):
                connection.close()
            settled_kib(gateway.pid, 0, 20)
            before_ms, before_kib = p99_ms(check, arguments.calls), resident_kib(gateway.pid)
            idle = connect(path, arguments.connections)
            beside_ms, beside_kib = p99_ms(check, arguments.calls), resident_kib(gateway.pid)
            for connection in idle:
                connection.close()
            after_kib = settled_kib(gateway.pid, before_kib * 1.1, 60)
            after_ms = p99_ms(check, arguments.calls)
        finally:
            gateway.terminate()
            gateway.wait()
    print(f"{arguments.connections} idle connections; p99 of {arguments.calls} health checks, one after another")
    print(f"before  {before_ms:8.2f} ms          {before_kib / 1024:8.1f} MiB")
    print(f"beside  {beside_ms:8.2f} ms  x {beside_ms / before_ms:4.2f}  {beside_kib / 1024:8.1f} MiB  x {beside_kib / before_kib:4.2f}")
    print(f"after   {after_ms:8.2f} ms  x {after_ms / before_ms:4.2f}  {after_kib / 1024:8.1f} MiB  x {after_kib / before_kib:4.2f}")


if __name__ == "__main__":
    main()
