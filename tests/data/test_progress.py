import io
import sys

import pytest

from minigen.data.progress import track


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
@pytest.mark.parametrize("by_length", [False, True])
def test_items_pass_through_and_only_a_terminal_sees_a_bar(monkeypatch, stream, by_length):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream())
    items = [b"ab", b"c", b""]
    assert list(track(items, 3, "Reading it", by_length)) == items
    assert ("Reading it" in sys.stderr.getvalue()) == (stream is Terminal)


def test_a_fault_in_the_items_is_raised_and_the_bar_goes(monkeypatch):
    def broken():
        yield 1
        raise OSError("unreadable")

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(OSError, match="unreadable"):
        list(track(broken(), 2, "Reading it"))
    shown = sys.stderr.getvalue()
    assert shown.count("\x1b[?25h") == shown.count("\x1b[?25l") == 1  # the cursor was hidden, and is back
