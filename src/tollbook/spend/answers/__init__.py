"""What people ask beyond totals: why it changed, where the month ends, what stands out, what it would cost elsewhere.

Each answer is made from one `Report`, whose rows are already those that whoever asks may see. An answer is a frozen
dataclass: as JSON it is `tollbook.NAME/1` (see `docs/answers.md`), and `spend.render.answers` says it in words.
"""
