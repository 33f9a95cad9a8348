"""Parts for Octavo: the step `unique`, the chunker `marks`, the loader `notebook`, and `lead:`."""
