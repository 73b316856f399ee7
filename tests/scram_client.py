"""scramp, a SCRAM client that others wrote, with types."""

from scramp import ScramClient  # type: ignore[import-untyped]  # it comes without types


class Scram:
    """One SCRAM-SHA-256 dialogue, from the client's side."""

    def __init__(self, username: str, password: str) -> None:
        self._client = ScramClient(["SCRAM-SHA-256"], username, password)

    def first(self) -> bytes:
        """client-first-message."""
        text: str = self._client.get_client_first()
        return text.encode()

    def final(self, server_first: bytes) -> bytes:
        """client-final-message."""
        self._client.set_server_first(server_first.decode())
        text: str = self._client.get_client_final()
        return text.encode()

    def verify(self, server_final: bytes) -> None:
        """Raises when the server does not have the verifier."""
        self._client.set_server_final(server_final.decode())
