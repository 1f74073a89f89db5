import logging

import pytest

from thingstead.features.mail.model import Letter, LetterState, Occasion
from thingstead.features.mail.ports import RefusedForGoodError
from thingstead.mail.console import ConsolePostman
from thingstead.mail.letters import LetterWriter


@pytest.fixture
def postman():
    return ConsolePostman(LetterWriter(public_url="http://h:8080", sender="a@example.org"))


async def deliver(postman, to="ada@example.org", **facts):
    letter = Letter(Occasion.RESET_PASSWORD, to, {"app": "Lamps", **facts})
    return await postman.deliver(letter, letter_id="id1", written_at_ms=0)


async def test_a_letter_is_shown_in_the_log_with_its_link(postman, caplog):
    with caplog.at_level(logging.INFO, logger="thingstead.mail"):
        state = await deliver(postman, link="/links#s3cret")

    assert state is LetterState.SHOWN
    assert [(record.name, record.levelname) for record in caplog.records] == [
        ("thingstead.mail", "INFO")
    ]
    assert "to ada@example.org was not sent" in caplog.text
    assert "Subject: Choose a new password for Lamps" in caplog.text
    assert "http://h:8080/links#s3cret" in caplog.text


async def test_an_address_cannot_forge_a_line_of_the_log(postman, caplog):
    with caplog.at_level(logging.INFO, logger="thingstead.mail"):
        await deliver(postman, "ada\r\nERROR forged\x1b[2J", link="/links#s3cret")

    assert "to ada ERROR forged [2J was" in caplog.text


async def test_a_letter_that_cannot_be_written_is_refused_for_good(postman):
    with pytest.raises(RefusedForGoodError, match="lacks a fact"):
        await deliver(postman)
