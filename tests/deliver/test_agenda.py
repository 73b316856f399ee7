"""An agenda says what is due, in order, each once and at its last word."""

from hypothesis import given
from hypothesis import strategies as st

from relay.deliver.agenda import Agenda

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 5), st.integers(0, 20)),
        st.tuples(st.just("drop"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("due"), st.just(0), st.integers(0, 20)),
    )
)


@given(STEPS)
def test_it_does_what_a_plain_table_would(steps: list[tuple[str, int, int]]) -> None:
    agenda, table = Agenda(), dict[int, float]()
    for what, id, at in steps:
        match what:
            case "put":
                agenda.put(id, at)
                table[id] = at
            case "drop":
                agenda.drop(id)
                table.pop(id, None)
            case _:
                expected = min(((when, each) for each, when in table.items() if when <= at), default=None)
                assert agenda.due(at) == (None if expected is None else expected[1])
                if expected is not None:
                    del table[expected[1]]
        assert len(agenda) == len(table)
