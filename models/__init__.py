"""Machine learning only: estimators, datasets, evaluation, registry and the laboratory. Imports the kernel.

In a notebook, on any frame::

    from models import DefaultRisk
    risk = DefaultRisk(date="as_of_date", member="customer_id", horizon_days=182)
    risk.fit(train, train_outcome)
    risk.evaluate(test, test_outcome)
    risk.explain(test.head())
"""

from models.lazy import __getattr__ as __getattr__

__all__ = ["ContactEffect", "DefaultRisk"]
