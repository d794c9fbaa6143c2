"""Energy used by a trial, from RAPL counters where they are readable."""

import os
from pathlib import Path

_ZONES = Path("/sys/class/powercap")


class EnergyMeter:
    """Counts from construction; attributes energy by the trial's share of the host's cores.

    Args:
        threads: of the trial.
        zones: where the kernel shows the counters of the processor packages.
    """

    def __init__(self, threads: int, zones: Path = _ZONES) -> None:
        self._share = min(1.0, threads / (os.cpu_count() or 1))
        self._packages = [zone for zone in zones.glob("*-rapl:*") if zone.name.count(":") == 1]
        self._before = self._read()

    def joules(self) -> float | None:
        """Joules since construction; None if the counters cannot be read."""
        after = self._read()
        if not self._before or after.keys() != self._before.keys():
            return None
        used = 0
        for zone, count in after.items():
            turned_over = count < self._before[zone]
            span = int((zone / "max_energy_range_uj").read_text()) if turned_over else 0
            used += count - self._before[zone] + span
        return self._share * used / 1e6

    def _read(self) -> dict[Path, int]:
        """Microjoules by package; empty if one of them may not be read."""
        try:
            return {zone: int((zone / "energy_uj").read_text()) for zone in self._packages}
        except OSError:
            return {}
