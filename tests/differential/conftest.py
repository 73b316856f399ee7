"""No deadline an example: the machine is shared, and what is slow is shown by benchmarks."""

from hypothesis import settings

settings.register_profile("differential", deadline=None)
settings.load_profile("differential")
