"""Network hosts of their own for members: a namespace each, with an address of its own, and between them a network with
a round trip and a bandwidth. What a program in one of them sends to another goes through this process, packet by packet.

The kernel's own queues for delay (netem) are not there in every container; a tun device of each namespace is all that is
needed here.
"""
import ctypes
import fcntl
import heapq
import itertools
import os
import signal
import socket
import struct
import subprocess
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET, PR_SET_PDEATHSIG = 0x40000000, 1
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PREFIX = "10.77.0."
MTU = 9000
LONGEST_WAIT = 0.25  # a packet that would wait longer for its turn is dropped, as by a router with so much room


def cannot():
    """Why there can be no such hosts here, or nothing."""
    if os.geteuid() != 0:
        return "network namespaces with devices need root"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun"
    return ""


def enter(pid):
    """This thread is in the network of that process from now on."""
    with open(f"/proc/{pid}/ns/net") as space:
        if LIBC.setns(space.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


class Host:
    """A network namespace: its process, which does nothing, and the end of its device."""

    def __init__(self, number):
        self.address = f"{PREFIX}{number}"
        near, far = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                near.close()
                LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                if LIBC.unshare(CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "unshare")
                device = os.open("/dev/net/tun", os.O_RDWR)
                fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH14x", b"net0", IFF_TUN | IFF_NO_PI))
                for line in ("link set lo up", f"address add {self.address}/24 dev net0", f"link set net0 mtu {MTU} up"):
                    subprocess.run(["ip", *line.split()], check=True)
                socket.send_fds(far, [b"ok"], [device])
                signal.pause()
            finally:
                os._exit(1)
        far.close()
        said, fds, _, _ = socket.recv_fds(near, 2, 1)
        near.close()
        if said != b"ok":
            raise OSError("no network namespace with a device can be made here")
        self.device = fds[0]
        self.free_at = 0.0  # when what it sent before is on its way
        self.arriving, self.numbers = [], itertools.count()  # heap of (when, number, packet)
        self.arrived = threading.Condition()


class Network:
    """`count` hosts, each `rtt` seconds from every other and with `mbit` for what it sends."""

    def __init__(self, count, rtt, mbit):
        self.delay, self.seconds_a_byte = rtt / 2, 8 / (mbit * 1e6)
        self.closed = False
        self.hosts = [Host(k + 1) for k in range(count)]
        by_address = {socket.inet_aton(h.address): h for h in self.hosts}
        self.threads = [threading.Thread(target=self.send, args=(h, by_address), daemon=True) for h in self.hosts]
        self.threads += [threading.Thread(target=self.receive, args=(h,), daemon=True) for h in self.hosts]
        for thread in self.threads:
            thread.start()

    def send(self, host, by_address):
        while not self.closed:
            try:
                packet = os.read(host.device, MTU + 64)
            except OSError:
                return
            to = by_address.get(packet[16:20])
            if to is None or packet[0] >> 4 != 4:
                continue
            now = time.monotonic()
            begins = max(now, host.free_at)
            if begins - now > LONGEST_WAIT:
                continue
            host.free_at = begins + len(packet) * self.seconds_a_byte
            with to.arrived:
                heapq.heappush(to.arriving, (host.free_at + self.delay, next(to.numbers), packet))
                to.arrived.notify()

    def receive(self, host):
        while not self.closed:
            with host.arrived:
                wait = host.arriving[0][0] - time.monotonic() if host.arriving else 1
                if wait > 0:
                    host.arrived.wait(wait)
                    continue
                packet = heapq.heappop(host.arriving)[2]
            try:
                os.write(host.device, packet)
            except OSError:
                return

    def serve(self, host, port):
        """In that host 127.0.0.1:port is the one out here."""
        made = []

        def make():
            enter(host.pid)
            made.append(socket.create_server(("127.0.0.1", port)))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        listener = made[0]

        def accept():
            while not self.closed:
                try:
                    near, _ = listener.accept()
                    far = socket.create_connection(("127.0.0.1", port))
                except OSError:
                    return
                for a, b in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=(a, b), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        self.threads.append(listener)

    def close(self):
        self.closed = True
        for host in self.hosts:
            os.kill(host.pid, signal.SIGKILL)
            os.waitpid(host.pid, 0)


def pump(a, b):
    try:
        while data := a.recv(1 << 16):
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (a, b):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
