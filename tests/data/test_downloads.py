"""MNIST, Fashion-MNIST and CIFAR-10 from small files made here, in folders and from a server on this machine."""

import contextlib
import gzip
import hashlib
import io
import socket
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from minigen.data import DATASETS, open_dataset
from minigen.data.cifar import CIFAR10, open_cifar10, parse_batch
from minigen.data.download import Remote, data_root, fetch, find
from minigen.data.mnist import FASHION_MNIST, MNIST, open_fashion_mnist, open_mnist, read_idx
from minigen.errors import UserError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (20, 28, 28), dtype=np.uint8)
LABELS = np.arange(20, dtype=np.uint8) % 10
RECORDS = np.concatenate([LABELS[:12, None], RANDOM.integers(0, 256, (12, 3072), dtype=np.uint8)], axis=1)


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return head + array.tobytes()


def mnist_files(images=IMAGES, labels=LABELS, compress=gzip.compress):
    suffix = ".gz" if compress is gzip.compress else ""
    files = {}
    for part, rows in (("train", slice(0, 15)), ("t10k", slice(15, 20))):
        files[f"{part}-images-idx3-ubyte{suffix}"] = compress(idx(images[rows]))
        files[f"{part}-labels-idx1-ubyte{suffix}"] = compress(idx(labels[rows]))
    return files


def cifar_archive(names=("data_batch_1", "data_batch_2", "test_batch"), mode="w:gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for number, name in enumerate(names):
            content = RECORDS[4 * number : 4 * number + 4].tobytes()
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def put(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(autouse=True)
def _no_proxy_between_this_machine_and_itself(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


class Server:
    """A server of `files`; it hangs up after `patience` bytes of an answer, if that is set."""

    def __init__(self, files):
        self.files, self.requests, self.patience, self.resumes = dict(files), [], None, True

    def __enter__(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name, start = self.path.rsplit("/", 1)[-1], 0
                if outer.resumes and "Range" in self.headers:
                    start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
                outer.requests.append((name, start))
                if name not in outer.files:
                    self.send_error(404)
                    return
                content = outer.files[name][start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(content[: outer.patience])

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/data/"
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()


def remote_of(server, files, remote=MNIST):
    checksums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    return replace(remote, mirrors=(server.url,), md5=checksums)


def nowhere():
    """An address on this machine where nothing answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/"


def check_mnist(source):
    for split, rows in (("train", slice(0, 15)), ("test", slice(15, 20))):
        images, labels = source.load(split).arrays
        np.testing.assert_array_equal(images[:, 0], IMAGES[rows].astype(np.float32) / np.float32(255))
        np.testing.assert_array_equal(labels, LABELS[rows])
        assert (images.dtype, labels.dtype) == (np.float32, np.int64)


# ---- files that are there ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [".", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("compress", [gzip.compress, bytes])
def test_mnist_is_read_from_its_files_wherever_they_lie_under_the_root(tmp_path, place, compress):
    put(tmp_path / place, mnist_files(compress=compress))
    source = open_dataset("mnist", root=tmp_path)
    assert (source.name, source.kind, source.shape, source.classes) == ("mnist", "image", (1, 28, 28), 10)
    check_mnist(source)
    np.testing.assert_allclose(source.load("test", scale="tanh").arrays[0].min(), 2 * IMAGES[15:].min() / 255 - 1)


def test_files_spelt_with_a_dot_are_taken_too(tmp_path):
    put(tmp_path, {name.replace("-idx", ".idx"): c for name, c in mnist_files(compress=bytes).items()})
    check_mnist(open_mnist(tmp_path))


def test_fashion_has_its_own_folder_and_names(tmp_path):
    put(tmp_path / "mnist", mnist_files())
    put(tmp_path / "FashionMNIST/raw", mnist_files(images=255 - IMAGES))
    fashion = open_dataset("fashion-mnist", root=str(tmp_path))
    np.testing.assert_array_equal(fashion.load("test").images[:, 0], 255 - IMAGES[15:])
    assert fashion.class_names[9] == "Ankle boot"
    rare = open_dataset("fashion-mnist", root=tmp_path, imbalance="Ankle boot:0,0:0.5")
    np.testing.assert_array_equal(
        np.bincount(rare.load("train").arrays[1], minlength=10), [1] + [2] * 4 + [1] * 4 + [0]
    )


def test_the_root_comes_from_the_environment_unless_given(tmp_path, monkeypatch):
    put(tmp_path / "environment", mnist_files())
    monkeypatch.setenv("MINIGEN_DATA", str(tmp_path / "environment"))
    check_mnist(open_dataset("mnist"))
    check_mnist(DATASETS["mnist"])
    assert data_root(None) == tmp_path / "environment"
    assert data_root(tmp_path) == tmp_path
    monkeypatch.delenv("MINIGEN_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_root(None) == tmp_path / ".cache" / "minigen"


def test_cifar_is_read_from_the_archive_and_from_the_unpacked_files(tmp_path):
    put(tmp_path / "packed", {"cifar-10-binary.tar.gz": cifar_archive()})
    batches = {"data_batch_1": 0, "data_batch_2": 4, "test_batch": 8}
    files = {f"{name}.bin": RECORDS[start : start + 4].tobytes() for name, start in batches.items()}
    for folder in ("loose", "kept/cifar-10-batches-bin", "kept2/cifar10/cifar-10-batches-bin"):
        put(tmp_path / folder, files)
    for root in ("packed", "loose", "kept", "kept2"):
        source = open_dataset("cifar10", root=tmp_path / root)
        assert (source.shape, source.classes, source.class_names[3]) == ((3, 32, 32), 10, "cat")
        train, labels = source.load("train").arrays
        expected = RECORDS[:8, 1:].reshape(8, 3, 32, 32).astype(np.float32) / np.float32(255)
        np.testing.assert_array_equal(train, expected)
        np.testing.assert_array_equal(labels, LABELS[:8])
        np.testing.assert_array_equal(source.load("test").images[0, 2].ravel(), RECORDS[8, 2049:])


# ---- files that are damaged -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "does not begin as an idx file"),
        (b"<html>no such page</html>", "does not begin as an idx file"),
        (idx(IMAGES)[:-1], "bytes, not the"),
        (idx(IMAGES) + b"x", "bytes, not the"),
        (bytes([0, 0, 8, 3, 0, 0]), "bytes, not the"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12, "bytes, not the"),
        (gzip.compress(idx(IMAGES))[:-200], "end-of-stream"),
        (gzip.compress(idx(IMAGES))[:40] + bytes(400), ""),
        (b"\x1f\x8b" + bytes(30), ""),
    ],
)
def test_a_damaged_idx_file_is_named(tmp_path, content, words):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"train-images-idx3-ubyte\.gz is damaged .*{words}"):
        read_idx(path)


def test_images_of_another_size_and_labels_that_do_not_fit_are_refused(tmp_path):
    for name, files, words in (
        ("size", {"t10k-images-idx3-ubyte": idx(IMAGES[15:, :20])}, r"holds an array \(5, 20, 28\), not images"),
        ("none", {"t10k-images-idx3-ubyte": idx(IMAGES[:0])}, "holds an array"),
        ("count", {"t10k-labels-idx1-ubyte": idx(LABELS[:4])}, "one label from 0 to 9 for each image"),
        ("label", {"t10k-labels-idx1-ubyte": idx(LABELS[:5] + np.uint8(6))}, "one label from 0 to 9"),
    ):
        root = put(tmp_path / name, mnist_files(compress=bytes) | files)
        with pytest.raises(UserError, match=words):
            open_mnist(root).load("test")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (RECORDS.tobytes()[:-1], "3073 for each image"),
        (b"", "it has 0 bytes"),
        (np.full((1, 3073), 10, np.uint8).tobytes(), "a label of 10"),
    ],
)
def test_a_damaged_batch_is_named(content, words):
    with pytest.raises(UserError, match=rf"data_batch_1\.bin is damaged .*{words}"):
        parse_batch("data_batch_1.bin", content)


@pytest.mark.parametrize(
    "content",
    [b"", b"nothing", cifar_archive()[:-300], cifar_archive(names=()), cifar_archive(names=("other",))],
    ids=["empty", "text", "truncated", "no-files", "other-files"],  # an archive holds the time it was made at
)
def test_a_damaged_archive_is_named(tmp_path, content):
    put(tmp_path, {"cifar-10-binary.tar.gz": content})
    with pytest.raises(UserError, match=r"cifar-10-binary\.tar\.gz is damaged"):
        open_cifar10(tmp_path).load("train")


# ---- files that are fetched -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("open_it", "remote"), [(open_mnist, MNIST), (open_fashion_mnist, FASHION_MNIST)])
def test_what_is_missing_is_downloaded_once_and_kept(tmp_path, capsys, open_it, remote):
    files = mnist_files()
    with Server(files) as server:
        remote = remote_of(server, files, remote)
        check_mnist(open_it(tmp_path / "new", remote))
        assert sorted(server.requests) == sorted((name, 0) for name in files)
        check_mnist(open_it(tmp_path / "new", remote))
        assert len(server.requests) == 4
    kept = {path.name: path.read_bytes() for path in (tmp_path / "new" / remote.name).iterdir()}
    assert kept == files
    assert f"Downloading {server.url}train-images-idx3-ubyte.gz" in capsys.readouterr().err


def test_cifar_is_downloaded_too(tmp_path):
    files = {"cifar-10-binary.tar.gz": cifar_archive()}
    with Server(files) as server:
        source = open_cifar10(tmp_path, remote_of(server, files, CIFAR10))
        assert (len(source.load("train")), len(source.load("test"))) == (8, 4)
        assert len(server.requests) == 1
    assert (tmp_path / "cifar10" / "cifar-10-binary.tar.gz").exists()


def test_the_next_mirror_is_asked_where_one_fails_or_sends_something_else(tmp_path):
    files = mnist_files()
    with Server({}) as empty, Server(dict.fromkeys(files, b"something else")) as wrong, Server(files) as right:
        remote = replace(remote_of(right, files), mirrors=(nowhere(), empty.url, wrong.url, right.url))
        check_mnist(open_mnist(tmp_path, remote))
        assert len(empty.requests) == len(wrong.requests) == len(right.requests) == 4


def test_a_download_goes_on_where_the_connection_broke_off(tmp_path):
    content = RANDOM.bytes(300_000)
    files = {"big.bin": content}
    with Server(files) as server:
        server.patience = 100_000
        path = fetch(remote_of(server, files, Remote("set", (), {})), "big.bin", tmp_path)
        assert [start for _, start in server.requests] == [0, 100_000, 200_000]
    assert path.read_bytes() == content


def test_a_connection_that_always_breaks_off_is_given_up(tmp_path):
    files = {"big.bin": RANDOM.bytes(300_000)}
    with Server(files) as server:
        server.patience, server.resumes = 1000, False
        with pytest.raises(UserError, match="the connection broke off"):
            fetch(remote_of(server, files, Remote("set", (), {})), "big.bin", tmp_path)
        assert len(server.requests) < 10
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", [lambda c: c[:-1] + b"?", lambda c: c + b"?", lambda c: b""])
def test_a_download_with_another_checksum_is_not_kept(tmp_path, change):
    files = mnist_files()
    changed = {name: change(content) for name, content in files.items()}
    with (
        Server(changed) as server,
        pytest.raises(UserError, match=r"127\.0\.0\.1:\d+: what it gave has a wrong checksum"),
    ):
        open_mnist(tmp_path, remote_of(server, files)).load("train")
    assert not list(tmp_path.rglob("*.gz"))


def test_a_server_without_the_file_is_named_with_its_answer(tmp_path):
    with Server({}) as server, pytest.raises(UserError, match=r"127\.0\.0\.1:\d+: 404 Not Found"):
        open_mnist(tmp_path, remote_of(server, mnist_files())).load("train")


def test_without_a_network_the_files_that_are_missing_are_named(tmp_path):
    files = mnist_files()
    del files["t10k-labels-idx1-ubyte.gz"], files["train-labels-idx1-ubyte.gz"]
    put(tmp_path, files)
    with pytest.raises(UserError) as raised:
        open_mnist(tmp_path, replace(MNIST, mirrors=(nowhere(),))).load("test")
    text = str(raised.value)
    assert "Connection refused" in text
    assert (
        "put train-labels-idx1-ubyte.gz, t10k-labels-idx1-ubyte.gz into a folder and name it with --data-root DIR"
        in text
    )


def test_a_root_that_cannot_be_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    files = mnist_files()
    with Server(files) as server, pytest.raises(UserError, match=r"Cannot write .*file/mnist"):
        open_mnist(tmp_path / "file", remote_of(server, files)).load("train")


def test_nothing_is_read_or_fetched_before_a_split_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGEN_DATA", str(tmp_path / "nothing"))
    for name in ("mnist", "fashion-mnist", "cifar10"):
        assert open_dataset(name).kind == "image"
    assert not list(tmp_path.iterdir())


def test_the_own_folder_of_a_dataset_comes_before_what_lies_beside_it(tmp_path):
    for place in (".", "FashionMNIST/raw", "fashion-mnist"):
        put(tmp_path / place, {"a": place.encode()})
    assert find(FASHION_MNIST, ("a",), tmp_path).read_bytes() == b"fashion-mnist"
    assert find(MNIST, ("a",), tmp_path).read_bytes() == b"."
    assert find(MNIST, ("b",), tmp_path) is None
