import pytest

from core.wording import counted, in_full


@pytest.mark.parametrize(
    ("number", "told"), [(0, "0 jobs"), (1, "1 job"), (2, "2 jobs"), (2_000, "2,000 jobs")]
)
def test_one_is_not_many(number: int, told: str) -> None:
    assert counted(number, "job") == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (1e9, "1000000000"),
        (1_234_567.0, "1234567"),
        (1e15, "1000000000000000"),
        (-2.5, "-2.5"),
        (0.0000001, "0.0000001"),
        (0.0, "0"),
        (10, "10"),
        (1e300, "1e+300"),
        (float("inf"), "Infinity"),
    ],
)
def test_a_number_is_written_with_all_its_digits(value: float, told: str) -> None:
    assert in_full(value) == told
