from core.trading.backtest.machine import missing_features

NEW = "processor : 0\nflags\t\t: fpu sse2 abm avx avx2 bmi1 bmi2 f16c fma movbe\n\nprocessor : 1\n"


def test_a_processor_of_today_lacks_nothing() -> None:
    assert missing_features(NEW) == []


def test_what_an_old_one_lacks_is_named() -> None:
    assert missing_features(NEW.replace("avx2 ", "").replace("fma ", "")) == ["avx2", "fma"]


def test_one_that_does_not_say_lacks_everything() -> None:
    assert "avx2" in missing_features("processor : 0\n")
