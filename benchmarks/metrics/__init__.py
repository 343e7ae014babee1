"""Verdicts on a predicted SQL, the hardness of its question, and the kind of its mistake.

execution.verdict(gold, predicted, databases)     the official execution accuracy
exact_match.score(gold, predicted, schema)        Spider's exact set match
hardness.hardness(gold, schema)                   easy, medium, hard or extra
slices.features(gold)                             tables, aggregation, nesting
errors.classify(gold, predicted, verdict, schema) the kind of mistake
text                                              string match, BLEU, ROUGE, chatter
calibration.calibration(stated, right)            how well a stated confidence holds
statistics                                        intervals, McNemar, paired bootstrap
test_suites.build(database, golds, ...)           neighbour databases that catch luck
"""
