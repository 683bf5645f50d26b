"""The memory behind tensors."""

import numpy as np
import pytest

import webtorch


def test_memory_can_be_asked(device):
    x = webtorch.arange(12, dtype=webtorch.float32, device=device).reshape(3, 4)
    memory, part = x.untyped_storage(), x[1:].t()
    assert (memory.nbytes(), len(memory), memory.device.type) == (48, 48, device)
    assert (
        part.untyped_storage() == memory
        and part.untyped_storage()._cdata == memory._cdata
        and len({memory, part.untyped_storage()}) == 1
    )
    assert (
        part.untyped_storage().data_ptr() == memory.data_ptr() == x.data_ptr() and (x + 1).untyped_storage() != memory
    )
    assert webtorch.is_storage(memory) and isinstance(memory, webtorch.UntypedStorage)
    assert memory.tolist() == np.arange(12, dtype=np.float32).view(np.uint8).tolist()
    numbers = part.storage()
    assert (numbers.size(), numbers.nbytes(), numbers.dtype, numbers[5]) == (12, 48, webtorch.float32, 5.0)
    assert numbers.tolist() == list(range(12)) and numbers.untyped() == memory and "48" in repr(memory)


def test_memory_is_not_resized(device):
    memory = webtorch.zeros(4, device=device).untyped_storage()
    assert memory.resize_(16) is memory and not memory.resizable()
    with pytest.raises(NotImplementedError, match=r"resize_\(0\): .*del x"):
        memory.resize_(0)
    with pytest.raises(TypeError, match="untyped_storage"):
        webtorch.UntypedStorage(16)
