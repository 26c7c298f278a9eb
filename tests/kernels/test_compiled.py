import numba
from minigen_kernels.cpu import compiled as module


def test_a_kernel_is_compiled_without_a_cache_where_none_can_be_written(monkeypatch):
    asked = []

    def njit(cache=False, **options):
        asked.append(cache)

        def decorate(function):
            if cache:
                raise RuntimeError("cannot cache function 'double': no locator available for file 'double.py'")
            return numba.njit(**options)(function)

        return decorate

    monkeypatch.setattr(module, "njit", njit)
    double = module.compiled(error_model="numpy")(lambda x: 2 * x)
    assert double(21) == 42
    assert asked == [True, False]
