"""Reads what Prometheus is told with the parser of Prometheus's own client."""

from prometheus_client.parser import text_string_to_metric_families

import serve


def read(text):
    """Each metric: its type, help, and samples as [name, labels, value]."""
    return [
        [family.name, family.type, family.documentation, [[s.name, s.labels, s.value] for s in family.samples]]
        for family in text_string_to_metric_families(text)
    ]


serve.serve({"read": read})
