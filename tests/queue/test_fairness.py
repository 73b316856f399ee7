"""The order inside a lane: clients by weight, their campaigns, the oldest first; large mail apart.

Each table was derived by hand before the code ran: clients and campaigns that wait take
turns in the order in which they came, whoever has sent least over his weight first.
"""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.message.priority import Priority
from relay.queue.flow import FLOWS_MAX, LARGE_BYTES, Flow, Flows
from relay.queue.job import Job
from relay.queue.lane import Lane, LaneKey
from relay.queue.strand import Strand
from relay.queue.weights import CampaignWeight, Weights
from relay.route.route import Route
from tests.queue.taking import serve

HIGH, NORMAL, BULK = Priority
MIB = 1_048_576
LARGE = 100 * MIB


def lane(**weights: int) -> Lane:
    return Lane(LaneKey("r"), Route("r", ("h.test",)), weights=Weights(weights))


def job(tested: Lane, id: int, client: str = "a", campaign: str = "", size: int = 0) -> Job:
    return Job(id, tested, flow=Flow("r", client, campaign, size > LARGE_BYTES))


def fill(tested: Lane, mails: str) -> None:
    """A word a mail, in order of coming: its client, or client/campaign."""
    for id, word in enumerate(mails.split(), 1):
        client, _, campaign = word.partition("/")
        tested.push(job(tested, id, client, campaign))


def served(tested: Lane, number: int) -> str:
    return " ".join(f"{each.flow.client}{each.id}" for each in (serve(tested) for _ in range(number)))


@pytest.mark.parametrize(
    ("mails", "weights", "expected"),
    [
        # One client, one campaign: exactly the oldest first.
        ("a a a a", {}, "a1 a2 a3 a4"),
        # A client with many waits for one with few, and no longer than for one mail of his.
        ("a a a a b b", {}, "a1 b5 a2 b6 a3 a4"),
        # Tags: a 0 ½ 1 1½ 2, b 0 1 2; of equal ones who came to it first, and b came to 1 before a did.
        ("a a a a a a b b b", {"a": 2}, "a1 b7 a2 b8 a3 a4 b9 a5 a6"),
        # Campaigns share what their client has: b has half of all, however many campaigns a has.
        ("a/x a/y a/z a/x b b b b", {}, "a1 b5 a2 b6 a3 b7 a4 b8"),
        ("a/x a/x a/x a/y a/y", {}, "a1 a4 a2 a5 a3"),
        ("a/x a/x a/y b a/z b", {}, "a1 b4 a3 b6 a5 a2"),
    ],
)
def test_the_order_is_as_the_table_says(mails: str, weights: dict[str, int], expected: str) -> None:
    tested = lane(**weights)
    fill(tested, mails)
    assert served(tested, len(mails.split())) == expected
    assert len(tested) == 0 and tested.head(NORMAL) is None


@pytest.mark.parametrize(
    ("mails", "expected"),
    [
        # Tags of x: 0 ½ 1 1½ 2, of y: 0 1 2. Of equal ones who came to it first, and y came to 1 before x did.
        ("a/x a/x a/x a/x a/x a/x a/y a/y a/y", "a1 a7 a2 a8 a3 a4 a9 a5 a6"),
        # Mail of no campaign, and one that nobody speaks of, weigh 1; x1 fits "x*", which weighs 2.
        ("a/x1 a/x1 a/x1 a/x1 a a a/y a/y", "a1 a5 a7 a2 a6 a8 a3 a4"),
        # What its campaigns weigh brings the client no more turns.
        ("a/x a/x a/x b b b", "a1 b4 a2 b5 a3 b6"),
    ],
)
def test_campaigns_share_what_their_client_has_by_weight(mails: str, expected: str) -> None:
    weights = Weights(campaigns=(CampaignWeight("xy", 50), CampaignWeight("x*", 2)))
    tested = Lane(LaneKey("r"), Route("r", ("h.test",)), weights=weights)
    fill(tested, mails)
    assert served(tested, len(mails.split())) == expected


def test_the_first_pattern_that_fits_says_what_a_campaign_weighs() -> None:
    weights = Weights(
        {"erp": 5}, (CampaignWeight("May news", 7), CampaignWeight("May*", 3), CampaignWeight("*", 2))
    )
    names = ("May news", "May news 2", "May", "June", "")
    assert [weights.of_campaign(name) for name in names] == [7, 3, 3, 2, 1]
    assert (weights.of_client("erp"), weights.of_client("nobody"), Weights().of_campaign("May")) == (5, 1, 1)


def test_a_campaign_for_each_mail_brings_its_client_no_more_turns() -> None:
    tested = lane()
    for id in range(1, 101):
        tested.push(job(tested, id, "honest", "news"))
    taken: Counter[str] = Counter()
    for id in range(1_000, 1_100):
        # Its newest is always of a campaign that nobody has heard of.
        tested.push(job(tested, id, "clever", f"campaign {id}"))
        taken[serve(tested).flow.client] += 1
    assert taken == {"honest": 50, "clever": 50}


def test_a_mail_that_comes_back_is_the_oldest_of_its_client_again() -> None:
    tested = lane()
    fill(tested, "a a b b")
    first = serve(tested)
    tested.push(first)
    assert served(tested, 4) == "b3 a1 b4 a2"


def test_mail_that_has_gone_without_a_turn_is_charged_to_nobody() -> None:
    tested = lane()
    fill(tested, "a a a b b b")
    for _ in range(2):
        # Set aside, or given another lane: two of a's.
        aside = tested.head(NORMAL)
        assert aside is not None and aside.flow.client == "a"
        tested.take(aside)
    assert served(tested, 4) == "a3 b4 b5 b6"


def test_priorities_know_nothing_of_each_others_turns() -> None:
    tested = lane()
    fill(tested, "a a a b")
    high = Job(9, tested, priority=HIGH, flow=Flow("r", "a"))
    tested.push(high)
    assert serve(tested, HIGH) is high and served(tested, 4) == "a1 b4 a2 a3"


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), min_size=1, max_size=40),
    st.permutations(range(1, 41)),
    st.integers(0, 39),
)
def test_how_many_go_before_a_mail_is_about_known(
    mails: list[tuple[str, str]], ids: list[int], which: int
) -> None:
    """Of equal weight: never off by more than a mail of each other client and campaign."""
    tested = lane()
    jobs = [job(tested, id, *flow) for id, flow in zip(ids, mails, strict=False)]
    for each in jobs:
        tested.push(each)
    chosen = jobs[which % len(jobs)]
    told, gone = tested.before(chosen), 0
    while serve(tested) is not chosen:
        gone += 1
    # Two campaigns of three clients: one who is before in his client may be one behind among clients.
    assert abs(told - gone) <= 5


def test_with_one_client_and_campaign_it_is_known_exactly() -> None:
    tested = lane()
    jobs = [job(tested, id) for id in (5, 3, 9, 7, 1, 8)]
    for each in jobs:
        tested.push(each)
    assert [tested.before(each) for each in jobs] == [2, 1, 5, 3, 0, 4]
    assert serve(tested).id == 1
    assert [tested.before(each) for each in jobs if each.id != 1] == [1, 0, 4, 2, 3]


def test_who_has_more_weight_has_more_before_others() -> None:
    tested = lane(heavy=4)
    fill(tested, "heavy " * 100 + "light " * 100)
    tenth = Job(110, tested, flow=Flow("r", "light"))
    assert tested.before(tenth) == 9 + 40, "nine of its own, and forty of the other's hundred"


# Large mail.


def test_small_mail_passes_a_large_one_that_may_not_go() -> None:
    tested = lane()
    tested.push(job(tested, 1, size=LARGE))
    for id in (2, 3):
        tested.push(job(tested, id))
    assert tested.waiting(with_large=False) == [NORMAL] and tested.count(with_large=False) == 2
    taken = []
    while (head := tested.head(NORMAL, with_large=False)) is not None:
        tested.take(head)
        taken.append(head.id)
    assert taken == [2, 3] and len(tested) == 1 and tested.waiting(with_large=False) == []
    head = tested.head(NORMAL)
    assert head is not None and head.id == 1


def test_a_large_mail_takes_as_many_turns_as_it_is_long() -> None:
    """100 MiB count 101, a small mail 1: of 203 turns two are large, and each is followed by 101 small ones."""
    tested = lane()
    for id in range(1, 400):
        tested.push(job(tested, id))
    for id in range(400, 404):
        tested.push(job(tested, id, size=LARGE))
    order = []
    for _ in range(206):
        head = tested.head(NORMAL)
        assert head is not None
        size = LARGE if head.flow.is_large else 0
        order.append(serve(tested, size=size).flow.is_large)
    assert [at for at, is_large in enumerate(order) if is_large] == [1, 102, 204]


def test_large_mail_of_one_client_does_not_take_half_of_all_from_nine() -> None:
    """Large mail weighs what its clients weigh: 1 of 10. So one of 100 MiB goes in 101 * 9 small ones."""
    tested = lane()
    for id in range(1, 2_001):
        tested.push(job(tested, id, f"small {id % 9}"))
    for id in range(3_000, 3_010):
        tested.push(job(tested, id, "large", size=LARGE))
    large = 0
    for _ in range(1_820):
        head = tested.head(NORMAL)
        assert head is not None
        large += head.flow.is_large
        serve(tested, size=LARGE if head.flow.is_large else 0)
    assert large == 2


def test_large_mail_that_has_gone_gathers_no_claim() -> None:
    tested = lane()
    for id in range(1, 1_001):
        tested.push(job(tested, id))
    tested.push(job(tested, 2_000, size=LARGE))
    assert [serve(tested, size=LARGE if at == 1 else 0).id for at in range(3)] == [1, 2_000, 2]
    for _ in range(500):
        serve(tested)
    for id in (2_001, 2_002):
        tested.push(job(tested, id, size=LARGE))
    order = []
    for _ in range(60):
        head = tested.head(NORMAL)
        assert head is not None
        order.append(serve(tested, size=LARGE if head.flow.is_large else 0).flow.is_large)
    assert sum(order) == 1, "one of them, and not both for 500 small ones that went while there was none"


# What is lost, and what is left.


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(0, 3), st.integers(0, 2), st.booleans()),
        st.tuples(st.just("serve"), st.booleans()),
        st.tuples(st.just("aside")),
        st.tuples(st.just("withdraw"), st.integers(0, 1_000)),
        st.tuples(st.just("oldest")),
    ),
    max_size=120,
)


@settings(max_examples=300)
@given(STEPS, st.lists(st.integers(0, 60), max_size=120))
def test_nothing_is_lost_or_twice_and_the_oldest_of_its_kind_goes_first(
    steps: list[tuple[object, ...]], ids: list[int]
) -> None:
    """Against a set: who waits, the oldest of a client's campaign and size, and the oldest of all."""
    tested, waiting = Strand(Weights({"b": 3, "c": 1, "d": 2}, (CampaignWeight("x", 2),))), dict[int, Job]()
    home, numbers = lane(), iter(ids)

    def first_of(head: Job) -> bool:
        return head.id == min(each.id for each in waiting.values() if each.flow == head.flow)

    for step in steps:
        match step:
            case ("push", int(client), int(campaign), bool(is_large)):
                id = next(numbers, 0)
                if id in waiting:
                    continue
                each = Job(id, home, flow=Flow("r", "abcd"[client], "xyz"[campaign], is_large))
                tested.push(each)
                waiting[id] = each
            case ("serve", bool(with_large)):
                head = tested.peek(with_large=with_large)
                may = [each for each in waiting.values() if with_large or not each.flow.is_large]
                assert (head is None) == (not may), "as long as anybody may go, somebody does"
                if head is not None:
                    assert first_of(head) and (with_large or not head.flow.is_large)
                    tested.charge(head, LARGE if head.flow.is_large else 0)
                    tested.take(waiting.pop(head.id))
            case ("aside",):
                if (head := tested.peek()) is not None:
                    assert first_of(head)
                    tested.take(waiting.pop(head.id))
            case ("withdraw", int(which)):
                if waiting:
                    gone = waiting.pop(sorted(waiting)[which % len(waiting)])
                    tested.leave(gone)
            case ("oldest",):
                oldest = tested.oldest()
                assert (None if oldest is None else oldest.id) == min(waiting, default=None)
        assert len(tested) == len(waiting)
    left = []
    while (head := tested.peek()) is not None:
        assert first_of(head)
        tested.take(waiting.pop(head.id))
        left.append(head.id)
    assert not waiting and tested.oldest() is None


@given(
    st.dictionaries(st.sampled_from("abcde"), st.integers(1, 100), min_size=2),
    st.lists(st.sampled_from([0, MIB, 3 * MIB]), min_size=1, max_size=20),
    st.integers(1, 400),
)
def test_clients_that_wait_have_their_shares(weights: dict[str, int], sizes: list[int], number: int) -> None:
    """The bound of `relay.queue.rota`, with mails of several sizes: the largest counts 4."""
    tested = lane(**weights)
    size_of = {}
    for client in weights:
        for at in range(number):
            each = job(tested, ord(client) * 10_000 + at, client, f"campaign {at % 3}")
            size_of[each.id] = sizes[at % len(sizes)]
            tested.push(each)
    sent = dict.fromkeys(weights, 0.0)
    for _ in range(number):
        head = tested.head(NORMAL)
        assert head is not None
        size = size_of[head.id]
        sent[serve(tested, size=size).flow.client] += (1 + size // MIB) / weights[head.flow.client]
    for a in weights:
        for b in weights:
            assert abs(sent[a] - sent[b]) <= 4 / weights[a] + 4 / weights[b] + 0.01


def test_lines_that_have_gone_are_forgotten() -> None:
    """10,000 campaigns come and go one by one, while another client always waits."""
    tested = lane()
    for id in range(100_000, 120_100):
        tested.push(job(tested, id, "steady"))
    for id in range(10_000):
        tested.push(job(tested, id, f"client {id}"))
        serve(tested), serve(tested)
        if not id % 100:
            tested.peek()
    (strand,) = [each for each in tested._strands if len(each)]
    assert len(strand._clients[0]._members) < 10 and len(strand._ages) < 110


def test_flows_are_shared_and_not_remembered_without_end() -> None:
    tested = Flows()
    assert tested.flow("r", "erp", "May", 10) is tested.flow("r", "erp", "May", 20)
    assert tested.flow("r", "erp", "May", LARGE_BYTES + 1).is_large
    for number in range(FLOWS_MAX + 10):
        tested.flow("r", "erp", str(number), 0)
    assert len(tested._known) <= FLOWS_MAX
