from __future__ import annotations

import select
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from flowkiln.cli.output.messages import Decoder, Message, encode, new_token

TOKEN = b"0123456789ab"

messages = st.builds(
    Message,
    st.sampled_from(["said", "began"]),
    st.lists(st.one_of(st.none(), st.integers(-5, 10**9), st.text(max_size=20))).map(tuple),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
)
items = st.lists(st.one_of(messages, st.binary(min_size=1, max_size=30).filter(lambda raw: TOKEN not in raw)))


def decoded(chunks: list[bytes]) -> list[bytes | Message]:
    """What comes out, with neighbouring raw bytes joined."""
    decoder = Decoder(TOKEN)
    found = [item for chunk in chunks for item in decoder.feed(chunk)]
    found.append(decoder.end())
    joined: list[bytes | Message] = []
    for item in found:
        if isinstance(item, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += item
        elif item != b"":
            joined.append(item)
    return joined


@given(items, st.integers(1, 50))
def test_round_trip(given_items: list[bytes | Message], size: int) -> None:
    """Messages and raw bytes come out of the pipe in their order, however reads cut it."""
    written = b"".join(b"".join(encode(TOKEN, item)) if isinstance(item, Message) else item for item in given_items)
    expected = decoded([b"".join(encode(TOKEN, i)) if isinstance(i, Message) else i for i in given_items])
    assert decoded([written[at : at + size] for at in range(0, len(written), size)]) == expected
    assert [item for item in expected if isinstance(item, Message)] == [
        item for item in given_items if isinstance(item, Message)
    ]


def test_raw_output_waits_only_for_what_may_be_a_message() -> None:
    """Bytes that cannot be the start of a message are told at once."""
    assert list(Decoder(TOKEN).feed(b"progress")) == [b"progress"]
    assert list(Decoder(TOKEN).feed(b"progress0123")) == [b"progress"]


def test_a_long_text() -> None:
    """A text of any length goes in writes that the kernel does not split, and comes out whole."""
    message = Message("said", ("é" * 10_000, 7), "ä€" * 50_000)
    parts = list(encode(TOKEN, message))
    assert max(map(len, parts)) <= select.PIPE_BUF
    (found,) = decoded(parts)
    assert isinstance(found, Message)
    assert found.text == message.text


def test_what_utf_8_cannot_encode() -> None:
    """A lone surrogate arrives as an escape."""
    (found,) = decoded(list(encode(TOKEN, Message("said", (), "caf\udce9"))))
    assert found == Message("said", (), "caf\\udce9")


def test_tokens_differ() -> None:
    """No run has the token of another."""
    assert all(one != other for one, other in pairwise(new_token() for _ in range(10)))
