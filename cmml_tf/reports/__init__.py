"""Reports for people: one HTML file of a run or a comparison, from the files of its folder."""
