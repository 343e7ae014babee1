"""Is a predicted SQL right, how hard was the question, and what went wrong?

execution.verdict(gold, predicted, databases)     the official execution accuracy
exact_match.score(gold, predicted, schema)        Spider's exact set match
hardness.hardness(gold, schema)                   easy, medium, hard or extra
slices.features(gold)                             tables, aggregation, nesting
errors.classify(gold, predicted, verdict, schema) which kind of mistake it is
text                                              string match, BLEU, ROUGE, chatter
calibration.calibration(stated, right)            does a stated confidence hold?
statistics                                        intervals, McNemar, paired bootstrap
test_suites.build(database, golds, ...)           neighbour databases that catch luck
"""
