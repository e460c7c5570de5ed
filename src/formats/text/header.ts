import type { OnnxModel, TfliteModel, ValueId } from '../../ir/model.ts';
import { formatBytes, identifier } from './tokens.ts';

export function onnxHeader(model: OnnxModel): string[] {
  const opsets = [...model.opsets].map(([domain, version]) => `${JSON.stringify(domain)} : ${version}`);
  const lines = ['format: "onnx"', `ir_version: ${model.irVersion}`, `opset_import: [${opsets.join(', ')}]`];
  if (model.producerName !== '') lines.push(`producer_name: ${JSON.stringify(model.producerName)}`);
  if (model.producerVersion !== '') lines.push(`producer_version: ${JSON.stringify(model.producerVersion)}`);
  for (const [key, value] of model.metadata)
    lines.push(`metadata ${JSON.stringify(key)}: ${JSON.stringify(cut(value))}`);
  return lines;
}

export function tfliteHeader(model: TfliteModel): string[] {
  const lines = ['format: "tflite"', `version: ${model.version}`];
  if (model.description !== '') lines.push(`description: ${JSON.stringify(cut(model.description))}`);
  for (const { name, data } of model.metadata)
    lines.push(`metadata ${JSON.stringify(name)}: bytes ${formatBytes(data.length)}`);
  for (const signature of model.signatures) {
    const names = (pairs: readonly (readonly [string, ValueId])[]) =>
      pairs.map(([name, id]) => `${identifier(name)} = ${identifier(id)}`).join(', ');
    lines.push(
      `signature ${JSON.stringify(signature.key)}: (${names(signature.inputs)}) => (${names(signature.outputs)})`,
    );
  }
  return lines;
}

function cut(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
