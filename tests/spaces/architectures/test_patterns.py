"""Names of models and patterns of names."""

from automl.spaces.architectures.patterns import matches


def test_match_is_exact_for_names() -> None:
    assert matches("resnet18", ("resnet18",))
    assert not matches("resnet18", ("resnet1",))
    assert matches("resnet18", ("resnet*",))
