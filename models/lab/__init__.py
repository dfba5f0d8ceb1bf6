"""A laboratory with a known truth: simulated cooperatives whose members, money and contact effects are known exactly.

``simulate`` makes a world, ``write`` puts it down as an institution's landing files with the truth beside them, and
``judge`` scores a finished day of decisions against that truth. The truth is for judging only; nothing that learns
or decides may read it.
"""
