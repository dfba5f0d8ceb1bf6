"""The examples in the docstrings of the pure modules hold. (The views are scripts and are not collected.)"""

import doctest

import pytest

from dashboards import charts, components, formats, language


@pytest.mark.parametrize("module", [charts, components, formats, language], ids=lambda module: module.__name__)
def test_examples_hold(module):
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
