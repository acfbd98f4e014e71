"""Who may call a service, and what it shows to those that it calls: the mesh's token, or TLS.

`backfire up` names the token's file in BACKFIRE_TOKEN_FILE. Each call carries the token as `authorization: Bearer TOKEN`, and a call without
it gets UNAUTHENTICATED. BACKFIRE_TLS_CERTIFICATE, BACKFIRE_TLS_KEY and BACKFIRE_TLS_CA name PEM files; both sides then show a certificate.
"""
import collections
import hmac
import os
import sys
import urllib.parse

import grpc

PLAIN, LOCAL = ("unix:",), ("unix:", "localhost:", "127.0.0.1:", "[::1]:")
TLS_FILES = ("BACKFIRE_TLS_KEY", "BACKFIRE_TLS_CERTIFICATE", "BACKFIRE_TLS_CA")
Details = collections.namedtuple("Details", ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression"))


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Token:
    """The token of this process's mesh, read again when its file changes; None: there is none."""

    def __init__(self):
        self.path, self.stamp, self.value = os.environ.get("BACKFIRE_TOKEN_FILE"), None, None
        if self.path:
            if os.stat(self.path).st_mode & 0o027:
                sys.exit(f"{self.path}: others may read it or write to it: chmod 600")
            self.get()

    def get(self):
        if not self.path:
            return None
        try:
            found = os.stat(self.path)
            stamp = (found.st_ino, found.st_size, found.st_ctime_ns)
            if stamp != self.stamp:
                self.stamp, self.value = stamp, read(self.path).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            print(f'security state=NOT_RELOADED file={self.path} error="{error}"', file=sys.stderr, flush=True)
        return self.value


TOKEN = Token()


def tls():
    """Key, certificate chain and authorities, as they are now; None: no TLS."""
    paths = [os.environ.get(name) for name in TLS_FILES]
    if any(paths) and not all(paths):
        sys.exit(f"{', '.join(TLS_FILES)} go together: give all three, or none")
    return [read(path) for path in paths] if all(paths) else None


def is_owners(address):
    """Whether only the mesh's owner can call what listens there: by a unix socket, or on this machine with his token or certificate."""
    return address.startswith(PLAIN) or (address.startswith(LOCAL) and bool(TOKEN.path or tls()))


class Shown(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Shows the token with each call."""

    @staticmethod
    def show(continuation, details, request):
        metadata = list(details.metadata or ()) + [("authorization", f"Bearer {TOKEN.get()}")]
        return continuation(Details(details.method, details.timeout, metadata, details.credentials,
                                    getattr(details, "wait_for_ready", None), getattr(details, "compression", None)), request)

    def intercept_unary_unary(self, continuation, details, request):
        return self.show(continuation, details, request)

    def intercept_unary_stream(self, continuation, details, request):
        return self.show(continuation, details, request)


def uri_of(target):
    """`unix:PATH` as the URI that gRPC takes it for, so that a path may have spaces; anything else as it is."""
    return "unix:" + urllib.parse.quote(target[5:], safe="/!$&'()*+,;=:@~") if target.startswith("unix:") else target


def open_channel(target, options):
    """A channel as all processes of the mesh open it. The token never goes where others could read it."""
    files = None if target.startswith(PLAIN) else tls()
    if files:
        key, chain, authorities = files
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(authorities, key, chain), options)
    else:
        channel = grpc.insecure_channel(uri_of(target), options)
    return grpc.intercept_channel(channel, Shown()) if TOKEN.get() and (files or target.startswith(LOCAL)) else channel


def add_port(server, address):
    """Listens, by TLS where there is a certificate, which is read again for each connection. Returns the port; 0: it can't."""
    files = None if address.startswith(PLAIN) else tls()
    if files:
        def configuration(key, chain, authorities):
            return grpc.ssl_server_certificate_configuration([(key, chain)], authorities)

        def newest():
            try:
                return configuration(*tls())
            except OSError as error:  # While it is replaced: the one before will do.
                print(f'security state=NOT_RELOADED error="{error}"', file=sys.stderr, flush=True)
                return None
        return server.add_secure_port(address, grpc.dynamic_ssl_server_credentials(configuration(*files), newest, True))
    if not address.startswith(LOCAL) and not os.environ.get("BACKFIRE_ALLOW_INSECURE"):
        sys.exit(f"--listen: {address} is open to other machines, and there is no TLS: give {', '.join(TLS_FILES)}, or "
                 "BACKFIRE_ALLOW_INSECURE=1 where only those reach the port who may do everything")
    return server.add_insecure_port(uri_of(address))


class Door(grpc.ServerInterceptor):
    """Refuses calls without the token, where there is one. By TLS everybody has shown a certificate, and needs none."""

    def __init__(self, address):
        self.asks = address.startswith(PLAIN) or not tls()

    def intercept_service(self, continuation, details):
        wanted = TOKEN.get() if self.asks else None
        shown = dict(details.invocation_metadata).get("authorization", "")
        if not wanted or hmac.compare_digest(shown.encode(), f"Bearer {wanted}".encode()):
            return continuation(details)

        def refuse(request, context):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, f"{details.method} needs an identity: send `authorization: Bearer "
                          "TOKEN`, with the token of the mesh's data directory (BACKFIRE_TOKEN_FILE)")
        return grpc.unary_unary_rpc_method_handler(refuse)
