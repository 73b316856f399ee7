"""`[[campaign]]`: what campaigns weigh, and what is wrong."""

from pathlib import Path

import pytest

from relay.cli.check_config import in_force
from relay.queue.weights import CampaignWeight
from tests.config.test_read import LEAST, Folder


def table(match: str, weight: object = 2) -> str:
    return f'[[campaign]]\nmatch = "{match}"\nweight = {weight}\n'


def test_the_deliverer_is_told_in_the_order_written_and_check_config_says_it(tmp_path: Path) -> None:
    configuration = Folder(tmp_path).read(LEAST + table("Letters", 5) + table("Let*", 3) + table("*"))
    assert configuration.deliverer.campaign_weights == (
        CampaignWeight("Letters", 5), CampaignWeight("Let*", 3), CampaignWeight("*", 2),
    )  # fmt: skip
    assert configuration.warnings == ()
    rows = dict(in_force(configuration))
    assert (rows["campaign[1].match"], rows["campaign[1].weight"]) == ("Let*", "3")


def test_without_a_table_all_weigh_the_same(tmp_path: Path) -> None:
    assert Folder(tmp_path).read(LEAST).deliverer.campaign_weights == ()


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        (table("May", 0), "campaign[0].weight: must be at least 1"),
        (table("May", 101), "campaign[0].weight: must be at most 100"),
        (table("M*y"), 'campaign[0].match: write the name of a campaign, or what it begins with and a "*"'),
        (table(""), "campaign[0].match: must not be empty"),
        ('[[campaign]]\nmatch = "May"\n', "campaign[0].weight: is missing"),
        ("[[campaign]]\nweight = 2\n", "campaign[0].match: is missing"),
        (table("May") + table("June") + table("May"), 'campaign[2].match: "May" is that of campaign[0] already'),
        ("".join(table(f"c{i}") for i in range(101)), "campaign: are 101; there may be 100 at most"),
    ],
)  # fmt: skip
def test_a_weight_that_means_nothing_is_told(tmp_path: Path, tables: str, problem: str) -> None:
    found = Folder(tmp_path).problems(LEAST + tables)
    assert len(found) == 1 and found[0].startswith(problem), found


@pytest.mark.parametrize(("first", "second"), [("*", "May"), ("Ma*", "May*"), ("Ma*", "Ma"), ("*", "M*")])
def test_one_that_is_never_looked_at_is_warned_of(tmp_path: Path, first: str, second: str) -> None:
    [warning] = Folder(tmp_path).read(LEAST + table(first) + table(second)).warnings
    assert warning.startswith(f'campaign[1].match: "{second}" is never looked at: campaign[0] ("{first}")')
