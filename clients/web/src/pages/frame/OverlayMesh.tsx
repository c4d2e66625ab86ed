/** A map of a model over the frame: bilinear between its cells, clear where it says nothing. */

import { INTERPOLATORS } from "@h5web/lib";
import { useMemo } from "react";
import {
  DataTexture,
  FloatType,
  NearestFilter,
  RedFormat,
  RGBAFormat,
  type Texture,
  Vector2,
} from "three";
import { type Layer, usePlace } from "./FrameMesh";
import type { Evidence } from "./useFrame";

const COLORS = 256;

const VERTEX = `
  varying vec2 place;
  void main() {
    place = uv;
    gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
  }
`;
// As the gateway's pictures: positive evidence, interpolated, over its reference; alpha by its root.
const FRAGMENT = `
  uniform sampler2D cells;
  uniform sampler2D counts;
  uniform sampler2D colors;
  uniform vec2 countsPart;
  uniform vec2 framePart;
  uniform float low;
  uniform float range;
  uniform float opacity;
  varying vec2 place;

  float cell(ivec2 at) {
    return max(texelFetch(cells, clamp(at, ivec2(0), textureSize(cells, 0) - 1), 0).r - low, 0.0);
  }

  void main() {
    if (isnan(texture2D(counts, place * countsPart).r)) discard;
    vec2 at = ((place - 0.5) * framePart + 0.5) * vec2(textureSize(cells, 0)) - 0.5;
    ivec2 corner = ivec2(floor(at));
    vec2 part = at - floor(at);
    float above = mix(cell(corner), cell(corner + ivec2(1, 0)), part.x);
    float below = mix(cell(corner + ivec2(0, 1)), cell(corner + ivec2(1, 1)), part.x);
    float shown = clamp(mix(above, below, part.y) / range, 0.0, 1.0);
    gl_FragColor = vec4(texture2D(colors, vec2(shown, 0.5)).rgb, sqrt(shown) * opacity);
  }
`;

function floats(values: Float32Array, width: number, height: number): Texture {
  const texture = new DataTexture(values, width, height, RedFormat, FloatType);
  texture.magFilter = texture.minFilter = NearestFilter;
  texture.needsUpdate = true;
  return texture;
}

function colorTable(): Texture {
  const entries = new Uint8Array(COLORS * 4);
  for (let place = 0; place < COLORS; place++) {
    const color = INTERPOLATORS.Magma(place / (COLORS - 1));
    for (let channel = 0; channel < 3; channel++) {
      const part = color.startsWith("#")
        ? Number.parseInt(color.slice(1 + 2 * channel, 3 + 2 * channel), 16)
        : Number(color.match(/\d+/g)?.[channel]);
      entries[4 * place + channel] = part;
    }
    entries[4 * place + 3] = 255;
  }
  const texture = new DataTexture(entries, COLORS, 1, RGBAFormat);
  texture.needsUpdate = true;
  return texture;
}

const MAGMA = colorTable();

/** Evidence on the pixels of a frame of `height` x `width`; masked pixels stay clear. */
export function OverlayMesh(props: {
  evidence: Evidence;
  layer: Layer;
  height: number;
  width: number;
  opacity: number;
}) {
  const { evidence, layer, height, width, opacity } = props;
  const { position, size, turn } = usePlace(width, height);
  const cells = useMemo(
    () => floats(evidence.values, evidence.width, evidence.height),
    [evidence.values, evidence.width, evidence.height],
  );
  const counts = useMemo(() => floats(layer.values, layer.width, layer.height), [layer]);
  const side = Math.max(height, width);
  const uniforms = {
    cells: { value: cells },
    counts: { value: counts },
    colors: { value: MAGMA },
    countsPart: { value: new Vector2(width / layer.across, height / layer.down) },
    framePart: { value: new Vector2(width / side, height / side) },
    low: { value: evidence.low },
    range: { value: evidence.high - evidence.low },
    opacity: { value: opacity },
  };
  return (
    <mesh position={[position[0], position[1], 1]} scale={turn} renderOrder={1}>
      <planeGeometry args={[size.width, size.height]} />
      <shaderMaterial
        args={[{ uniforms, vertexShader: VERTEX, fragmentShader: FRAGMENT, transparent: true }]}
        side={2}
        depthTest={false}
      />
    </mesh>
  );
}
