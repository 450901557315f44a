"""placeholder"""

SUMMARY = "x"


def define_flags(flag_values): ...
def run(flag_values): ...
