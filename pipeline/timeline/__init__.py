"""Windows of a video and what is said of them: merged to spans, drawn as a chart, over frames."""
