"""The keys under which an arm of an experiment says what it does otherwise; settings by their own names."""

PROVISION, FEE, MODEL, LADDER = (
    "decision.provision_weight",
    "decision.collection_fee_weight",
    "channel_model",
    "ladder",
)
