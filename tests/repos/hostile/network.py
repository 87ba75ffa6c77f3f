"""What can be reached."""

import socket
import time

from tools import kept


def tcp_connection(a):
    with socket.create_connection(("127.0.0.1", a["tcp"]), 2) as there:
        there.sendall(b"pwned")


def tcp_over_ipv6(a):
    with socket.create_connection(("::1", a["tcp6"]), 2) as there:
        there.sendall(b"pwned")


def tcp_port(a):
    server = socket.create_server(("0.0.0.0", a["free"]))
    kept.append(server)


def udp_packet(a):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.sendto(b"pwned", ("127.0.0.1", a["udp"]))


def name_server(a):
    query = b"\1\2\1\0\0\1\0\0\0\0\0\0\5pwned\4test\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.connect(("127.0.0.1", a["udp"]))
        there.send(query)


def socket_of_a_server(a):
    with socket.socket(socket.AF_UNIX) as there:
        there.connect(a["unix"])
        there.sendall(b"pwned")


def socket_without_a_path(a):
    with socket.socket(socket.AF_UNIX) as there:
        there.connect("\0" + a["abstract"])
        there.sendall(b"pwned")


def datagram_to_a_socket(a):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there:
        there.sendto(b"pwned", a["datagram"])


def raw_packets(a):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as wire:
        wire.bind(("lo", 0))
        wire.settimeout(2)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            if a["watched"].encode() in wire.recv(65535):
                return a["watched"]


def addresses_of_the_machine(a):
    with socket.socket(16, socket.SOCK_RAW, 0) as link:
        link.send(b"\x14\0\0\0\x12\0\1\3\1\0\0\0\0\0\0\0\0\0\0\0")
        heard = b""
        while b"\3\0\2\0" not in heard[-24:]:
            heard += link.recv(65535)
        return a["done"] if all(name.encode() in heard for name in a["interfaces"]) else ""
