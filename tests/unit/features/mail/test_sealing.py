import pytest

from doubles.ids import SequentialIds
from doubles.sealing import PlainSeal
from thingstead.features.mail.model import Letter, Occasion, SealedLetter
from thingstead.features.mail.sealing import UnreadableLetterError, open_letter, seal_letter
from thingstead.kernel.errors import ThingsteadError

LETTER = Letter(
    Occasion.GRANT, "ädä@example.org", {"app": "Lämps <b>", "rights": "a\nb", "link": "/x?y"}
)


class BrokenSeal(PlainSeal):
    def open(self, sealed: bytes) -> str:
        raise ThingsteadError


def test_a_letter_is_opened_as_it_was_closed():
    sealed = seal_letter(LETTER, PlainSeal(), SequentialIds())

    assert sealed.occasion is Occasion.GRANT
    assert open_letter(sealed, PlainSeal()) == LETTER


def test_two_letters_have_two_ids():
    ids, seal = SequentialIds(), PlainSeal()

    assert seal_letter(LETTER, seal, ids).id != seal_letter(LETTER, seal, ids).id


def test_a_letter_closed_with_another_key_is_unreadable():
    sealed = seal_letter(LETTER, PlainSeal(), SequentialIds())

    with pytest.raises(UnreadableLetterError):
        open_letter(sealed, BrokenSeal())


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"to":"a@b.c"}', '{"to":"a@b.c","facts":[]}']
)
def test_a_damaged_letter_is_unreadable(content):
    with pytest.raises(UnreadableLetterError):
        open_letter(SealedLetter("id", Occasion.GRANT, f"1:{content}".encode()), PlainSeal())
