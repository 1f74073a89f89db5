"""The documentation says what the program does."""

import re
from pathlib import Path

import pytest

from thingstead.limit_settings import LimitSettings
from thingstead.reference.pages import all_pages, error_classes
from thingstead.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = all_pages()
WRITTEN = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
LINK = re.compile(r"\[[^\]]+\]\(([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("name", sorted(PAGES))
def test_generated_page_is_up_to_date(name):
    page = ROOT / "docs" / name

    assert page.read_text("utf-8") == PAGES[name], f"docs/{name} is stale: run scripts/docs"


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page):
    links = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]

    missing = [link for link in links if not (page.parent / link).exists()]

    assert missing == []


def test_error_codes_are_unique():
    codes = [kind.code for kind in error_classes()]

    assert len(codes) == len(set(codes))


def test_every_error_says_what_to_do():
    silent = [kind.__name__ for kind in error_classes() if not kind.advice.endswith(".")]

    assert silent == []


def test_every_call_stands_in_the_page_of_its_api():
    pages = [(ROOT / "docs" / name).read_text("utf-8") for name in ("device-api.md", "app-api.md")]
    paths = re.findall(r'"(/(?:v2|health)/[^"]*)": \{', PAGES["openapi.json"])

    spelt = [re.sub(r"\{(\w+)\}", lambda name: name[1].upper(), path) for path in paths]
    words = re.split(r"[`\s?,]+", " ".join(pages))

    assert [path for path in spelt if path not in words] == []


@pytest.mark.parametrize("settings", [Settings, LimitSettings])
def test_every_setting_is_described(settings):
    undescribed = [
        name
        for name, field in settings.__dataclass_fields__.items()
        if not field.metadata.get("description")
    ]

    assert undescribed == []


def test_no_file_is_longer_than_it_may_be():
    lengths = {
        str(path.relative_to(ROOT)): (len(path.read_text("utf-8").splitlines()), most)
        for folder, most in (("src", 400), ("tests", 600), ("benchmarks", 400))
        for path in (ROOT / folder).rglob("*.py")
    }

    assert {name: n for name, (n, most) in lengths.items() if n > most} == {}
