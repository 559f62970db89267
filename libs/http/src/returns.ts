import { applyDecorators, HttpCode } from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import type { z } from 'zod';

/**
 * Sets the success status of a route and documents its answer. A route without a body passes `null` as its schema.
 *
 * @param description what the answer is, one sentence.
 */
export function Returns(status: number, schema: z.ZodType | null, description: string): MethodDecorator {
  const answer = schema === null ? { status, description } : { status, description, standardSchema: schema };
  return applyDecorators(HttpCode(status), ApiResponse(answer));
}
