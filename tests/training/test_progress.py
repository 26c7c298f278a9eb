import io
import re

import pytest

from minigen.training.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def train(file, epochs=3, batches=2, start=0, **options):
    with Progress(epochs, batches, start_epoch=start, file=file, **options) as progress:
        for epoch in range(start + 1, epochs + 1):
            for batch in range(batches):
                progress.step({"d_loss": epoch + batch, "g_loss": 2.0})
            progress.epoch_done(epoch, {"epoch": epoch, "d_loss": epoch + 0.5, "note": "x", "seconds": 0.1})


@pytest.fixture(autouse=True)
def terminal_type(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("FORCE_COLOR", "1")  # must not bring control characters into a file


def test_a_file_gets_one_plain_line_an_epoch():
    file = io.StringIO()
    train(file)
    lines = re.sub(r"\d+\.\d s", "0.0 s", file.getvalue()).splitlines()
    assert lines == [f"epoch {e}/3  d_loss {e}.5  (0.0 s)" for e in (1, 2, 3)]
    assert file.getvalue().isprintable() is False  # newlines, and nothing else
    assert file.getvalue().replace("\n", "").isprintable()


def test_a_long_epoch_says_once_a_minute_where_it_is(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    file = io.StringIO()
    with Progress(2, 100, file=file) as progress:
        for _ in range(5):
            now[0] += 25
            progress.step({"loss": 2.0})
        progress.epoch_done(1, {"epoch": 1, "loss": 2.0})
    assert file.getvalue().splitlines() == ["epoch 1/2 batch   3/100  loss 2", "epoch 1/2  loss 2  (125.0 s)"]


def test_a_resumed_run_counts_on():
    file = io.StringIO()
    train(file, start=2)
    assert file.getvalue().startswith("epoch 3/3")


def test_quiet_prints_nothing_anywhere():
    for file in (io.StringIO(), Terminal()):
        train(file, quiet=True)
        assert file.getvalue() == ""


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    file = Terminal()
    train(file)
    assert "\x1b" not in file.getvalue()
    assert len(file.getvalue().splitlines()) == 3


def test_stderr_is_where_it_prints_unless_told_otherwise(capsys):
    train(None)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 3


def plain(file):
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", file.getvalue())


def test_a_terminal_gets_a_bar_with_epoch_batch_losses_and_speed():
    file = Terminal()
    train(file, epochs=3, batches=2)
    text = plain(file)
    assert "epoch 3/3 batch 2/2" in text
    assert "g_loss 2" in text
    assert "it/s" in text
    assert "epoch 2/3  d_loss 2.5" in text


def test_a_long_run_leaves_about_twenty_lines_above_the_bar():
    file = Terminal()
    train(file, epochs=200, batches=1)
    lines = set(re.findall(r"epoch \d+/200  d_loss", plain(file)))
    assert 15 <= len(lines) <= 25


def test_an_exception_gives_the_cursor_back_and_goes_on():
    file = Terminal()

    def interrupted():
        with Progress(3, 2, file=file) as progress:
            progress.step({"loss": 1.0})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert file.getvalue().rfind("\x1b[?25h") > file.getvalue().rfind("\x1b[?25l")


def test_a_loss_is_shown_as_the_average_of_the_last_batches_and_without_a_slow_start():
    file = Terminal()
    with Progress(1, 100, file=file) as progress:
        progress.step({"loss": 5.0})
        assert progress._average["loss"][0] / progress._average["loss"][1] == pytest.approx(5)
        for _ in range(99):
            progress.step({"loss": 1.0})
    assert "loss 1" in plain(file).splitlines()[-1]


def test_a_run_of_no_epochs_left_is_no_error():
    for file in (io.StringIO(), Terminal()):
        train(file, epochs=3, start=3)


def test_a_stop_that_was_asked_for_is_told_at_once_without_a_buffer(tmp_path):
    with open(tmp_path / "said", "w") as file:
        Progress(1, 10, 0, file=file).stopping()
        assert "press Ctrl-C again to stop at once" in (tmp_path / "said").read_text()
    Progress(1, 10, 0, file=io.StringIO()).stopping()  # which has no descriptor
