"""One small world, simulated once for the tests of this folder."""

from datetime import date

import pytest

from models.lab.settings import WorldSettings
from models.lab.simulate import simulate
from models.lab.write import write_demo

AS_OF = date(2026, 6, 30)


@pytest.fixture(scope="session")
def history():
    return simulate(members=700, seed=11, as_of=AS_OF)


@pytest.fixture(scope="session")
def clean_home(tmp_path_factory):
    """Landing files and truth without faulty rows."""
    home = tmp_path_factory.mktemp("clean")
    settings = WorldSettings(error_share=0.0, balance_difference_share=0.0, default_replications=4)
    write_demo(home, members=500, seed=3, as_of=AS_OF, settings=settings)
    return home
