"""Operator versions that released TFLite runtimes support.

The table was measured, not copied from source code: each released package (Linux x86-64) was given a model for every
operator and version, which it loaded or refused. ``tests/test_converters_tflite_compatibility.py`` repeats this for
operators of the installed runtime. Operator codes and names are those of ``BuiltinOperator`` in TensorFlow's
``schema.fbs``.
"""

from __future__ import annotations

__all__ = ["OPERATOR_NAMES", "RUNTIMES", "max_version"]

# The newest version of each operator that a runtime supports; "-" where it lacks the operator. The oldest version is 1,
# of BROADCAST_TO it is 2.
_TABLE = """
code  operator                        tflite-runtime  ai-edge-litert  ai-edge-litert
                                                2.14             1.4             2.3
   0  ADD                                          5               5               6
   1  AVERAGE_POOL_2D                              3               3               3
   2  CONCATENATION                                4               4               7
   3  CONV_2D                                      7               8               8
   4  DEPTHWISE_CONV_2D                            7               7               7
   5  DEPTH_TO_SPACE                               2               2               2
   6  DEQUANTIZE                                   5               6               9
   7  EMBEDDING_LOOKUP                             3               4               5
   8  FLOOR                                        1               1               1
   9  FULLY_CONNECTED                             10              13              14
  10  HASHTABLE_LOOKUP                             1               1               1
  11  L2_NORMALIZATION                             2               2               2
  12  L2_POOL_2D                                   1               1               1
  13  LOCAL_RESPONSE_NORMALIZATION                 1               1               1
  14  LOGISTIC                                     3               3               3
  15  LSH_PROJECTION                               1               1               1
  16  LSTM                                         4               4               4
  17  MAX_POOL_2D                                  3               3               3
  18  MUL                                          7               7               8
  19  RELU                                         3               3               3
  20  RELU_N1_TO_1                                 1               1               1
  21  RELU6                                        3               3               3
  22  RESHAPE                                      1               1               1
  23  RESIZE_BILINEAR                              4               4               4
  24  RNN                                          3               3               3
  25  SOFTMAX                                      3               3               4
  26  SPACE_TO_DEPTH                               2               2               2
  27  SVDF                                         4               4               4
  28  TANH                                         3               3               3
  29  CONCAT_EMBEDDINGS                            -               -               -
  30  SKIP_GRAM                                    1               1               1
  31  CALL                                         -               -               -
  33  EMBEDDING_LOOKUP_SPARSE                      1               1               1
  34  PAD                                          4               4               6
  35  UNIDIRECTIONAL_SEQUENCE_RNN                  3               3               3
  36  GATHER                                       6               7               8
  37  BATCH_TO_SPACE_ND                            4               4               4
  38  SPACE_TO_BATCH_ND                            4               4               4
  39  TRANSPOSE                                    6               7               9
  40  MEAN                                         3               3               3
  41  SUB                                          5               5               5
  42  DIV                                          2               2               2
  43  SQUEEZE                                      2               2               2
  44  UNIDIRECTIONAL_SEQUENCE_LSTM                 4               4               4
  45  STRIDED_SLICE                                8               8               8
  46  BIDIRECTIONAL_SEQUENCE_RNN                   3               3               3
  47  EXP                                          2               2               2
  48  TOPK_V2                                      3               3               3
  49  SPLIT                                        4               4               5
  50  LOG_SOFTMAX                                  2               2               2
  51  DELEGATE                                     -               -               -
  52  BIDIRECTIONAL_SEQUENCE_LSTM                  3               3               3
  53  CAST                                         5               7               9
  54  PRELU                                        1               1               1
  55  MAXIMUM                                      4               4               4
  56  ARG_MAX                                      3               3               3
  57  MINIMUM                                      4               4               4
  58  LESS                                         3               3               3
  59  NEG                                          1               1               1
  60  PADV2                                        4               4               6
  61  GREATER                                      2               2               2
  62  GREATER_EQUAL                                3               3               3
  63  LESS_EQUAL                                   2               2               2
  64  SELECT                                       4               4               4
  65  SLICE                                        6               6               8
  66  SIN                                          1               1               2
  67  TRANSPOSE_CONV                               4               5               5
  68  SPARSE_TO_DENSE                              3               3               3
  69  TILE                                         3               3               3
  70  EXPAND_DIMS                                  1               1               1
  71  EQUAL                                        4               4               5
  72  NOT_EQUAL                                    3               3               4
  73  LOG                                          1               2               2
  74  SUM                                          2               2               2
  75  SQRT                                         1               1               2
  76  RSQRT                                        2               3               3
  77  SHAPE                                        1               1               1
  78  POW                                          1               1               1
  79  ARG_MIN                                      3               3               3
  80  FAKE_QUANT                                   2               2               2
  81  REDUCE_PROD                                  2               2               2
  82  REDUCE_MAX                                   3               3               3
  83  PACK                                         4               4               5
  84  LOGICAL_OR                                   1               1               1
  85  ONE_HOT                                      1               1               1
  86  LOGICAL_AND                                  1               1               1
  87  LOGICAL_NOT                                  1               1               1
  88  UNPACK                                       4               4               6
  89  REDUCE_MIN                                   3               3               3
  90  FLOOR_DIV                                    3               3               3
  91  REDUCE_ANY                                   1               1               1
  92  SQUARE                                       1               1               1
  93  ZEROS_LIKE                                   1               1               1
  94  FILL                                         4               4               5
  95  FLOOR_MOD                                    2               2               2
  96  RANGE                                        2               2               2
  97  RESIZE_NEAREST_NEIGHBOR                      4               4               4
  98  LEAKY_RELU                                   2               2               2
  99  SQUARED_DIFFERENCE                           2               2               2
 100  MIRROR_PAD                                   3               3               3
 101  ABS                                          5               5               5
 102  SPLIT_V                                      2               2               3
 103  UNIQUE                                       1               1               1
 104  CEIL                                         1               1               1
 105  REVERSE_V2                                   3               3               4
 106  ADD_N                                        1               1               1
 107  GATHER_ND                                    4               5               6
 108  COS                                          1               1               2
 109  WHERE                                        2               2               2
 110  RANK                                         1               1               1
 111  ELU                                          1               1               1
 112  REVERSE_SEQUENCE                             1               1               1
 113  MATRIX_DIAG                                  1               1               1
 114  QUANTIZE                                     3               3               6
 115  MATRIX_SET_DIAG                              1               1               1
 116  ROUND                                        1               1               1
 117  HARD_SWISH                                   1               1               1
 118  IF                                           1               1               1
 119  WHILE                                        1               1               1
 120  NON_MAX_SUPPRESSION_V4                       1               1               1
 121  NON_MAX_SUPPRESSION_V5                       1               1               1
 122  SCATTER_ND                                   1               1               1
 123  SELECT_V2                                    2               2               2
 124  DENSIFY                                      1               1               1
 125  SEGMENT_SUM                                  1               1               1
 126  BATCH_MATMUL                                 4               4               4
 128  CUMSUM                                       1               1               1
 129  CALL_ONCE                                    1               1               1
 130  BROADCAST_TO                                 3               3               4
 131  RFFT2D                                       1               1               1
 132  CONV_3D                                      1               1               1
 133  IMAG                                         1               1               1
 134  REAL                                         1               1               1
 135  COMPLEX_ABS                                  1               1               1
 136  HASHTABLE                                    1               1               1
 137  HASHTABLE_FIND                               1               1               1
 138  HASHTABLE_IMPORT                             1               1               1
 139  HASHTABLE_SIZE                               1               1               1
 140  REDUCE_ALL                                   1               1               1
 141  CONV_3D_TRANSPOSE                            1               1               1
 142  VAR_HANDLE                                   1               1               1
 143  READ_VARIABLE                                1               1               1
 144  ASSIGN_VARIABLE                              1               1               1
 145  BROADCAST_ARGS                               1               1               1
 146  RANDOM_STANDARD_NORMAL                       1               1               1
 147  BUCKETIZE                                    1               1               1
 148  RANDOM_UNIFORM                               1               1               1
 149  MULTINOMIAL                                  1               1               1
 150  GELU                                         2               2               3
 151  DYNAMIC_UPDATE_SLICE                         1               4               6
 152  RELU_0_TO_1                                  1               1               1
 153  UNSORTED_SEGMENT_PROD                        1               1               1
 154  UNSORTED_SEGMENT_MAX                         1               1               1
 155  UNSORTED_SEGMENT_SUM                         1               1               1
 156  ATAN2                                        1               1               1
 157  UNSORTED_SEGMENT_MIN                         1               1               1
 158  SIGN                                         2               2               2
 159  BITCAST                                      1               1               1
 160  BITWISE_XOR                                  1               1               1
 161  RIGHT_SHIFT                                  1               1               1
 162  STABLEHLO_LOGISTIC                           -               -               -
 163  STABLEHLO_ADD                                -               1               1
 164  STABLEHLO_DIVIDE                             -               -               -
 165  STABLEHLO_MULTIPLY                           -               1               1
 166  STABLEHLO_MAXIMUM                            -               1               1
 167  STABLEHLO_RESHAPE                            -               -               -
 168  STABLEHLO_CLAMP                              -               -               -
 169  STABLEHLO_CONCATENATE                        -               -               -
 170  STABLEHLO_BROADCAST_IN_DIM                   -               -               -
 171  STABLEHLO_CONVOLUTION                        -               -               -
 172  STABLEHLO_SLICE                              -               -               -
 173  STABLEHLO_CUSTOM_CALL                        -               -               -
 174  STABLEHLO_REDUCE                             -               -               -
 175  STABLEHLO_ABS                                -               -               -
 176  STABLEHLO_AND                                -               1               1
 177  STABLEHLO_COSINE                             -               -               -
 178  STABLEHLO_EXPONENTIAL                        -               -               -
 179  STABLEHLO_FLOOR                              -               -               -
 180  STABLEHLO_LOG                                -               -               -
 181  STABLEHLO_MINIMUM                            -               1               1
 182  STABLEHLO_NEGATE                             -               -               -
 183  STABLEHLO_OR                                 -               -               -
 184  STABLEHLO_POWER                              -               -               -
 185  STABLEHLO_REMAINDER                          -               -               -
 186  STABLEHLO_RSQRT                              -               -               -
 187  STABLEHLO_SELECT                             -               -               -
 188  STABLEHLO_SUBTRACT                           -               -               -
 189  STABLEHLO_TANH                               -               -               -
 190  STABLEHLO_SCATTER                            -               1               1
 191  STABLEHLO_COMPARE                            -               -               -
 192  STABLEHLO_CONVERT                            -               -               -
 193  STABLEHLO_DYNAMIC_SLICE                      -               -               -
 194  STABLEHLO_DYNAMIC_UPDATE_SLICE               -               -               -
 195  STABLEHLO_PAD                                -               1               1
 196  STABLEHLO_IOTA                               -               -               -
 197  STABLEHLO_DOT_GENERAL                        -               -               -
 198  STABLEHLO_REDUCE_WINDOW                      -               1               1
 199  STABLEHLO_SORT                               -               -               -
 200  STABLEHLO_WHILE                              -               -               -
 201  STABLEHLO_GATHER                             -               1               1
 202  STABLEHLO_TRANSPOSE                          -               -               -
 203  DILATE                                       -               1               1
 204  STABLEHLO_RNG_BIT_GENERATOR                  -               1               1
 205  REDUCE_WINDOW                                -               1               1
 206  STABLEHLO_COMPOSITE                          -               1               1
 207  STABLEHLO_SHIFT_LEFT                         -               1               1
 208  STABLEHLO_CBRT                               -               -               -
 209  STABLEHLO_CASE                               -               1               1
"""

RUNTIMES: tuple[str, ...] = ("tflite-runtime 2.14", "ai-edge-litert 1.4", "ai-edge-litert 2.3")
"""The runtimes of the table's columns."""

_ROWS = [line.split() for line in _TABLE.splitlines()[3:]]

OPERATOR_NAMES: dict[int, str] = {int(code): name for code, name, *_ in _ROWS}
"""BuiltinOperator code → name."""

_MAX_VERSIONS = {name: [0 if cell == "-" else int(cell) for cell in versions] for _, name, *versions in _ROWS}


def max_version(operator: str, runtime: str) -> int:
    """Return the newest version of a built-in operator in ``runtime`` (one of :data:`RUNTIMES`); 0 if it lacks it."""
    versions = _MAX_VERSIONS.get(operator)
    return 0 if versions is None else versions[RUNTIMES.index(runtime)]
