"""Datasets, samplers and loaders: orders, batches, and workers that fail, die or hang."""

import collections
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from data_cases import Broken, Counted, Numbered, as_they_are, first_item_is_the_worker

import webtorch
from webtorch.utils import data
from webtorch.utils.data import DataLoader

HERE = pathlib.Path(__file__).parent


def seeded(number=0):
    return webtorch.Generator().manual_seed(number)


# ---- datasets ---------------------------------------------------------------------------------------------------------


def test_datasets_of_datasets(device):
    x = webtorch.arange(6, device=device).reshape(3, 2)
    rows = data.TensorDataset(x, x.float())
    assert len(rows) == 3 and rows[1][0].tolist() == [2, 3] and rows[1][1].device.type == device
    both = rows + [(1, 2)]
    assert isinstance(both, data.ConcatDataset) and len(both) == 4 and both[3] == (1, 2) and both[-1] == (1, 2)
    assert both[0][0].tolist() == [0, 1]
    subset = data.Subset(range(10), [4, 2, 9])
    assert list(subset) == [4, 2, 9] and len(subset) == 3 and subset.__getitems__([0, 2]) == [4, 9]
    stacked = data.StackDataset("abc", subset)
    assert stacked[2] == ("c", 9) and stacked.__getitems__([0, 1]) == [("a", 4), ("b", 2)]
    assert data.StackDataset(x="abc", y=range(3)).__getitems__([1]) == [{"x": "b", "y": 1}]
    chained = Counted(2) + Counted(3)
    assert isinstance(chained, data.ChainDataset) and list(chained) == [0, 1, 0, 1, 2]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: data.TensorDataset(webtorch.zeros(2), webtorch.zeros(3)),
            AssertionError,
            "Size mismatch between tensors",
        ),
        (lambda: data.ConcatDataset([]), AssertionError, "should not be an empty iterable"),
        (lambda: data.ConcatDataset([[1]])[1], IndexError, "out of range"),
        (lambda: data.ConcatDataset([[1]])[-2], ValueError, "absolute value of index"),
        (lambda: data.StackDataset("a", "bc"), ValueError, "Size mismatch between datasets"),
        (lambda: data.StackDataset(), ValueError, "At least one dataset"),
        (lambda: data.Dataset()[0], NotImplementedError, "__getitem__"),
        (lambda: data.random_split(range(4), [1, 2]), ValueError, "Sum of input lengths"),
        (lambda: data.random_split(range(4), [-0.5, 1.5]), ValueError, "index 0 is not between 0 and 1"),
        (lambda: data.RandomSampler([]), ValueError, "num_samples=0"),
        (lambda: data.RandomSampler([1], replacement=1), TypeError, "replacement should be a boolean"),
        (lambda: data.BatchSampler([1], 0, False), ValueError, "batch_size=0"),
        (lambda: data.WeightedRandomSampler([[1.0]], 1), ValueError, "1d sequence"),
        (lambda: data.DistributedSampler([1], 2, 2), ValueError, "Invalid rank 2"),
        (lambda: DataLoader([1], num_workers=-1), ValueError, "num_workers option should be non-negative"),
        (lambda: DataLoader([1], timeout=-1), ValueError, "timeout"),
        (lambda: DataLoader([1], prefetch_factor=2), ValueError, "prefetch_factor"),
        (lambda: DataLoader([1], persistent_workers=True), ValueError, "persistent_workers"),
        (lambda: DataLoader([1], sampler=[0], shuffle=True), ValueError, "mutually exclusive with shuffle"),
        (lambda: DataLoader([1], batch_sampler=[[0]], drop_last=True), ValueError, "batch_sampler option is mutually"),
        (lambda: DataLoader([1], batch_size=None, drop_last=True), ValueError, "disables auto-batching"),
        (lambda: DataLoader(Counted(), shuffle=True), ValueError, "expected unspecified shuffle"),
        (lambda: DataLoader(Counted(), sampler=[0]), ValueError, "expected unspecified sampler"),
        (lambda: setattr(DataLoader([1]), "batch_size", 3), ValueError, "should not be set after DataLoader"),
        (lambda: list(DataLoader([[1], [1, 2]], 2)), RuntimeError, "of equal size"),
        (lambda: list(DataLoader([webtorch.zeros(1), webtorch.zeros(2)], 2)), RuntimeError, "equal size"),
        (lambda: list(DataLoader([object()])), TypeError, "must contain tensors"),
        (lambda: list(DataLoader([np.array(["a"])])), TypeError, "must contain tensors"),
    ],
)
def test_what_cannot_be_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_splits_are_disjoint_and_seeded():
    parts = data.random_split(range(100, 110), [5, 3, 2], seeded())
    assert [len(part) for part in parts] == [5, 3, 2]
    assert sorted(item for part in parts for item in part) == list(range(100, 110))
    again = data.random_split(range(100, 110), [0.5, 0.3, 0.2], seeded())
    assert [len(part) for part in data.random_split(range(10), [0.5, 0.25, 0.25])] == [6, 2, 2]
    assert [list(part) for part in again] == [list(part) for part in parts]
    with pytest.warns(UserWarning, match="index 1 is 0"):
        data.random_split(range(3), [1.0, 0.0])


# ---- samplers ---------------------------------------------------------------------------------------------------------


def test_orders_are_the_same_everywhere():
    """Recorded: integers decide the order, so every machine has this one."""
    assert list(data.RandomSampler(range(8), generator=seeded(1))) == RECORDED["permutation"]
    assert list(data.RandomSampler(range(8), True, 6, seeded(1))) == RECORDED["replacement"]
    assert list(data.WeightedRandomSampler([1, 2, 3, 4], 8, generator=seeded(1))) == RECORDED["weighted"]
    webtorch.manual_seed(5)
    assert [batch.tolist() for batch in DataLoader(range(7), 3, shuffle=True)] == RECORDED["loader"]


RECORDED = {
    "permutation": [2, 1, 4, 5, 6, 7, 0, 3],
    "replacement": [5, 0, 0, 7, 3, 3],
    "weighted": [3, 0, 0, 3, 2, 2, 2, 3],
    "loader": [[0, 4, 5], [2, 3, 1], [6]],
}


def test_random_samplers():
    sampler = data.RandomSampler(range(5), num_samples=12, generator=seeded())
    order = list(sampler)
    assert len(order) == len(sampler) == 12
    assert sorted(order[:5]) == sorted(order[5:10]) == list(range(5)) and len(set(order[10:])) == 2
    assert list(sampler) != order  # the generator goes on
    drawn = list(data.RandomSampler(range(3), replacement=True, num_samples=300))
    assert set(drawn) == {0, 1, 2} and len(drawn) == 300
    assert sorted(data.SubsetRandomSampler([3, 8, 9])) == [3, 8, 9]
    counts = collections.Counter(data.WeightedRandomSampler([0.1, 0.0, 0.9], 1000, generator=seeded()))
    assert counts[1] == 0 and 60 < counts[0] < 150
    assert sorted(data.WeightedRandomSampler([1, 1, 1], 3, replacement=False)) == [0, 1, 2]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_ranks_share_an_order(shuffle, drop_last):
    ranks = [data.DistributedSampler(range(10), 4, rank, shuffle, drop_last=drop_last) for rank in range(4)]
    for sampler in ranks:
        sampler.set_epoch(3)
    parts = [list(sampler) for sampler in ranks]
    assert [len(part) for part in parts] == [len(ranks[0])] * 4 == [2 if drop_last else 3] * 4
    whole = [index for row in zip(*parts, strict=True) for index in row]
    assert len(set(whole)) == (8 if drop_last else 10)
    if not shuffle:
        assert whole == list(range(8)) if drop_last else whole == [*range(10), 0, 1]
    assert list(data.DistributedSampler(range(3), shuffle=False)) == [0, 1, 2]


def test_batches_of_indices_are_pytorchs():
    torch_data = pytest.importorskip("torch.utils.data")
    for drop_last in (False, True):
        for count, size in ((7, 3), (6, 3), (2, 5), (0, 2)):
            ours, theirs = (library.BatchSampler(range(count), size, drop_last) for library in (data, torch_data))
            assert list(ours) == list(theirs) and len(ours) == len(theirs)
    for replicas, rank, drop_last in ((3, 1, False), (3, 2, True), (20, 7, False)):
        options = {"num_replicas": replicas, "rank": rank, "shuffle": False, "drop_last": drop_last}
        ours, theirs = (library.DistributedSampler(range(10), **options) for library in (data, torch_data))
        assert list(ours) == list(theirs) and len(ours) == len(theirs)


# ---- batches ----------------------------------------------------------------------------------------------------------

Pair = collections.namedtuple("Pair", "x y")


def test_collation(device):
    rows = [webtorch.ones(2, device=device) * number for number in range(3)]
    batch = data.default_collate([{"row": row, "pair": Pair(1, 2.5), "text": "a", "list": [1, (2,)]} for row in rows])
    assert batch["row"].device.type == device and batch["row"].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert isinstance(batch["pair"], Pair) and batch["pair"].x.dtype is webtorch.int64
    assert batch["pair"].y.dtype is webtorch.float64 and batch["text"] == ["a", "a", "a"]
    assert batch["list"][0].tolist() == [1, 1, 1] and batch["list"][1][0].tolist() == [2, 2, 2]
    assert data.default_collate([np.float32(1), np.float32(2)]).dtype is webtorch.float32
    assert data.default_collate([np.ones(2, np.uint8)] * 2).dtype is webtorch.uint8
    assert data.default_collate([True, False]).dtype is webtorch.bool
    ordered = data.default_collate([collections.OrderedDict(b=1, a=2)])
    assert type(ordered) is collections.OrderedDict and list(ordered) == ["b", "a"]
    converted = data.default_convert(Pair(np.arange(2), ("a", np.float32(2))))
    assert isinstance(converted, Pair) and converted.x.tolist() == [0, 1] and converted.y[1].item() == 2


def test_loaders_without_workers():
    assert [batch.tolist() for batch in DataLoader(range(5), 2)] == [[0, 1], [2, 3], [4]]
    loader = DataLoader(range(5), 2, drop_last=True, sampler=[4, 3, 2, 1, 0])
    assert [batch.tolist() for batch in loader] == [[4, 3], [2, 1]] and len(loader) == 2
    assert [batch.tolist() for batch in DataLoader(range(5), batch_sampler=[[0, 4], [1]])] == [[0, 4], [1]]
    assert list(DataLoader(range(3), batch_size=None)) == [0, 1, 2]
    assert list(DataLoader(range(4), 2, collate_fn=as_they_are)) == [[0, 1], [2, 3]]
    assert [batch.tolist() for batch in DataLoader(Counted(5), 2)] == [[0, 1], [2, 3], [4]]
    assert [batch.tolist() for batch in DataLoader(Counted(5), 2, drop_last=True)] == [[0, 1], [2, 3]]
    loader = DataLoader(range(6), 6, shuffle=True, generator=seeded(2))
    first, second = next(iter(loader)).tolist(), next(iter(loader)).tolist()
    assert sorted(first) == sorted(second) == list(range(6)) and first != second
    assert next(iter(DataLoader(range(6), 6, shuffle=True, generator=seeded(2)))).tolist() == first
    assert len(pickle.loads(pickle.dumps(DataLoader(range(6), 4)))) == 2


def test_a_stream_longer_than_it_says():
    class Liar(Counted):
        def __len__(self):
            return 2

    with pytest.warns(UserWarning, match="reported to be 2"):
        assert len(list(DataLoader(Liar(3)))) == 3


# ---- workers ----------------------------------------------------------------------------------------------------------


def test_workers_make_the_same_batches():
    """Order, values and devices are those without workers; each worker has generators of its own; processes are used again."""
    webtorch.manual_seed(3)
    alone = list(DataLoader(Numbered(), 3, shuffle=True))
    loader = DataLoader(Numbered(), 3, shuffle=True, num_workers=2)
    runs = []
    for _ in range(2):
        webtorch.manual_seed(3)
        runs.append(list(loader))
    assert len(loader._idle) == 2
    for run in runs:
        for ours, other in zip(run, alone, strict=True):
            for key in ("index", "row", "array"):
                assert ours[key].tolist() == other[key].tolist() and ours[key].device == other[key].device
                assert ours[key].dtype is other[key].dtype
            assert ours["name"] == other["name"]
    first, again = runs
    assert [batch["worker"][0].item() for batch in first] == [0, 1, 0, 1]
    assert first[1]["seed"][0].item() == (first[0]["seed"][0].item() + 1) % 1000
    drawn = [[part.tolist() for part in batch["random"]] for batch in first]
    assert drawn == [[part.tolist() for part in batch["random"]] for batch in again]
    assert len({number for batch in drawn for part in batch for number in part}) == 30


def test_streams_are_shared_out_and_workers_persist():
    loader = DataLoader(Counted(10), 3, num_workers=2, persistent_workers=True)
    processes = None
    for _ in range(2):
        assert [batch.tolist() for batch in loader] == [[0, 2, 4], [1, 3, 5], [6, 8], [7, 9]]
        assert processes in (None, [worker.process.pid for worker in loader._crew.workers])
        processes = [worker.process.pid for worker in loader._crew.workers]
    for batch in loader:  # a pass that is left
        assert batch.tolist() == [0, 2, 4]
        break
    assert len(list(loader)) == 4
    loader.__del__()
    workers = DataLoader(Counted(10), None, num_workers=2, worker_init_fn=first_item_is_the_worker)
    assert list(workers) == [0, 1, 2, 3]  # worker 0 has 0, 2 below 4, worker 1 has 1, 3 below 5


def test_errors_of_workers_are_raised_here():
    with pytest.raises(
        KeyError, match=r"(?s)Caught KeyError in DataLoader worker process 1.*data_cases.py.*no item five"
    ):
        list(DataLoader(Broken("raise"), 2, sampler=[0, 1, 5, 2], num_workers=2))
    with pytest.raises(RuntimeError, match=r"worker 0 \(pid \d+\) exited unexpectedly: it exited with status 3"):
        list(DataLoader(Broken("die"), 2, num_workers=1))


def test_a_worker_that_takes_too_long_and_results_that_cannot_be_sent():
    loader = DataLoader(Broken("result"), 1, num_workers=1, collate_fn=as_they_are)
    with pytest.raises(Exception, match=r"(?s)in DataLoader worker process 0.*pickle"):
        list(loader)
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="timed out after 6"):
        list(DataLoader(Broken("sleep"), 2, sampler=[5, 0], num_workers=1, timeout=6))
    assert time.monotonic() - began < 30


def test_what_cannot_be_pickled_is_served_by_threads():
    with pytest.warns(UserWarning, match=r"threads.*cannot be pickled"):
        batches = list(DataLoader(Numbered(), 4, num_workers=2, collate_fn=lambda batch: batch))
    assert [[item["index"] for item in batch] for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [batch[0]["worker"] for batch in batches] == [0, 1, 0]
    with pytest.warns(UserWarning, match="threads"), pytest.raises(KeyError, match="worker thread 0"):
        list(DataLoader(Broken("raise"), 8, num_workers=1, collate_fn=lambda batch: batch))


PROGRAM = """
import signal
import time
from webtorch.utils.data import DataLoader, Dataset

class Slow(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 2:
            time.sleep(100)
        return index

signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background inherit that it is ignored

{guard}
    for batch in DataLoader(Slow(), 1, num_workers=1):
        print(batch.item(), flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole consoles")
@pytest.mark.parametrize("guard", ['if __name__ == "__main__":', "if True:"])
def test_ctrl_c_stops_all(tmp_path, guard):
    """A program with workers in processes, and one without a guard, which gets threads."""
    (tmp_path / "program.py").write_text(PROGRAM.format(guard=guard))
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "WEBTORCH_DEVICE": "cpu"}
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, start_new_session=True,
    )  # fmt: skip
    assert [process.stdout.readline() for _ in range(2)] == ["0\n", "1\n"]
    time.sleep(0.5)  # it waits for the third by then; an interrupt in a finalizer of the second would be lost
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors and ("threads of this process" in errors) == (guard == "if True:")
    with pytest.raises(ProcessLookupError):  # nobody of the group is left
        for _ in range(50):
            os.killpg(process.pid, 0)
            time.sleep(0.1)


# ---- logs -------------------------------------------------------------------------------------------------------------


def test_logs_for_tensorboard(tmp_path, device):
    pytest.importorskip("tensorboardX")
    from webtorch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("loss", webtorch.tensor(0.5, device=device), 1)
        writer.add_scalars("both", {"a": webtorch.tensor(1.0, device=device), "b": 2}, 1)
        writer.add_histogram("weights", webtorch.rand(20, device=device, dtype=webtorch.bfloat16), 1)
        writer.add_image("picture", webtorch.rand(3, 4, 4, device=device), 1)
        with pytest.raises(NotImplementedError, match="add_graph"):
            writer.add_graph(None)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("events*"))
    assert b"loss" in written and b"weights" in written and b"picture" in written


def test_logs_need_a_package(monkeypatch):
    from webtorch.utils.tensorboard import SummaryWriter

    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"webtorch\[log\]"):
        SummaryWriter()
