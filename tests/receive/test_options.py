import pytest

from relay.receive.options import Limits


@pytest.mark.parametrize("receivers", [1, 2, 3, 7, 32])
def test_receivers_together_never_exceed_a_limit_over_sessions(receivers: int) -> None:
    whole = Limits(connections=100, connections_per_address=50)
    part = whole.share(receivers)
    assert part.connections * receivers <= whole.connections
    assert part.connections_per_address * receivers <= whole.connections_per_address
    assert part.content_bytes * receivers <= whole.content_bytes
    assert part.large_buffers * receivers <= whole.large_buffers


def test_what_counts_within_a_session_is_not_shared_out() -> None:
    assert Limits().share(4).recipients_per_message == Limits().recipients_per_message
