"""For the whole suite: no deadline an example. The machine is shared, and what is slow is shown by benchmarks."""

from hypothesis import settings

settings.register_profile("relay", deadline=None)
settings.load_profile("relay")
