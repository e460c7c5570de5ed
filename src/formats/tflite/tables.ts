/**
 * The tables and enums of the TFLite schema (revision 3d), as facts: one line per table, fields in slot order as
 * `name:type=default`. A union takes two slots. `[ubyte]@16` aligns the elements to 16 bytes. Fields that the schema
 * calls deprecated are ordinary here, so that rewriting keeps them.
 */
export const structureTables = `
Model version:uint operator_codes:[OperatorCode] subgraphs:[SubGraph] description:string buffers:[Buffer] metadata_buffer:[int] metadata:[Metadata] signature_defs:[SignatureDef] external_buffer_groups:[ExternalBufferGroup] external_buffers:[ExternalBuffer]
OperatorCode deprecated_builtin_code:byte custom_code:string version:int=1 builtin_code:int
SubGraph tensors:[Tensor] inputs:[int] outputs:[int] operators:[Operator] name:string debug_metadata_index:int=-1
Operator opcode_index:uint inputs:[int] outputs:[int] builtin_options:BuiltinOptions custom_options:[ubyte] custom_options_format:CustomOptionsFormat mutating_variable_inputs:[bool] intermediates:[int] large_custom_options_offset:ulong large_custom_options_size:ulong builtin_options_2:BuiltinOptions2 debug_metadata_index:int=-1
Tensor shape:[int] type:TensorType buffer:uint name:string quantization:QuantizationParameters is_variable:bool sparsity:SparsityParameters shape_signature:[int] has_rank:bool variant_tensors:[VariantSubType] external_buffer:uint
VariantSubType shape:[int] type:TensorType has_rank:bool
Buffer data:[ubyte]@16 offset:ulong size:ulong
Metadata name:string buffer:uint
SignatureDef inputs:[TensorMap] outputs:[TensorMap] signature_key:string deprecated_tag:string subgraph_index:uint
TensorMap name:string tensor_index:uint
ExternalBufferGroup name:string
ExternalBuffer id:uint group:uint offset:ulong length:ulong packing:string
QuantizationParameters min:[float] max:[float] scale:[float] zero_point:[long] details:QuantizationDetails quantized_dimension:int
CustomQuantization custom:[ubyte]@16
BlockwiseQuantization scales:int zero_points:int block_size:int
MultiAxisQuantization scales:int zero_points:int block_size:int quantized_dimensions:[int]
SparsityParameters traversal_order:[int] block_map:[int] dim_metadata:[DimensionMetadata]
DimensionMetadata format:DimensionType dense_size:int array_segments:SparseIndexVector array_indices:SparseIndexVector
Int32Vector values:[int]
Uint16Vector values:[ushort]@4
Uint8Vector values:[ubyte]@4
`;

/** Enums with their storage type; members count from 0. */
export const enums = `
TensorType byte FLOAT32 FLOAT16 INT32 UINT8 INT64 STRING BOOL INT16 COMPLEX64 INT8 FLOAT64 COMPLEX128 UINT64 RESOURCE VARIANT UINT32 UINT16 INT4 BFLOAT16 INT2 UINT4 FLOAT8_E4M3FN FLOAT8_E5M2
DimensionType byte DENSE SPARSE_CSR
CustomOptionsFormat byte FLEXBUFFERS
Padding byte SAME VALID
ActivationFunctionType byte NONE RELU RELU_N1_TO_1 RELU6 TANH SIGN_BIT
LSHProjectionType byte UNKNOWN SPARSE DENSE
FullyConnectedOptionsWeightsFormat byte DEFAULT SHUFFLED4x16INT8
LSTMKernelType byte FULL BASIC
CombinerType byte SUM MEAN SQRTN
MirrorPadMode byte REFLECT SYMMETRIC
RngAlgorithm byte DEFAULT PHILOX THREEFRY
ReduceWindowFunction int UNSUPPORTED ADD MUL MINIMUM MAXIMUM ALL ANY
StablehloPrecisionConfig uint DEFAULT HIGH HIGHEST
StablehloComparisonDirection uint EQ NE GE GT LE LT
StablehloComparisonType uint NOTYPE FLOAT FLOAT_TOTAL_ORDER SIGNED UNSIGNED
`;

/** Members of each union in tag order from 1; tag 0 is NONE. */
export const unions = {
  QuantizationDetails: 'CustomQuantization BlockwiseQuantization MultiAxisQuantization',
  SparseIndexVector: 'Int32Vector Uint16Vector Uint8Vector',
};
